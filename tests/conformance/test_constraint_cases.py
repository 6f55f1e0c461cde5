"""Cases of --constraint that no recorded run is named after (C-003 to C-019).

Real: this machine's interfaces and resolver, and for machines without a network or
with another name, namespaces of their own (`unshare`; root, or user namespaces).
"""

import os
import socket
import subprocess

import pytest

from support import golden
from support.builders.factfiles import CHAIN
from support.commands import clean_environ
from support.http.receivers import Receiver

NO_INTERFACE = (
    "could not find any non-loopback IPv4 addresses in the network interfaces;"
    " do you have a working network interface card?"
)
NO_ADDRESS = "could not find any IPv4 addresses for the supplied hostname"
NO_MATCH = "failed to match any of the interface addresses to the found host addresses"


def warning(host, reason):
    return (
        f'Warn: the specifed host constraint "{host}" did not match, no tasks have been executed.'
        f" Reason: {reason}\n"
    )


@pytest.fixture
def chain(tmp_path):
    (tmp_path / "chain").write_text(CHAIN)


@pytest.fixture
def elsewhere(command, chain, tmp_path):
    """Run the command without a network, or on a machine of another name."""

    def run(*args, name=None):
        rename = f"hostname {name} && " if name else ""
        spaces = ["--uts"] if name else ["--net"]
        as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
        shell = ["sh", "-c", rename + 'exec "$0" "$@"', command, "run", "chain", *args]
        return subprocess.run(
            ["unshare", *as_root, *spaces, *shell],
            check=False,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=clean_environ(tmp_path),
            timeout=60,
        )

    return run


@pytest.mark.parametrize("case", [pytest.param(None, id="C-003")])
def test_own_address_matches(case, factotum, chain):
    addresses = golden.own_ipv4_addresses()
    assert addresses, "this case needs a non-loopback IPv4 interface"

    run = factotum("run", "chain", "--constraint", f"host,{addresses[0]}")

    assert "3/3 tasks run" in run.out


@pytest.mark.parametrize("case", [pytest.param(None, id="C-007")])
def test_machine_without_a_network_matches_no_address(case, elsewhere):
    run = elsewhere("--constraint", "host,10.1.2.3")

    assert (run.returncode, run.stdout) == (0, warning("10.1.2.3", NO_INTERFACE))


@pytest.mark.parametrize(
    "host",
    [pytest.param("*", id="C-008.star"), pytest.param(socket.gethostname(), id="C-008.own-name")],
)
def test_machine_without_a_network_still_has_a_name(host, elsewhere):
    run = elsewhere("--constraint", f"host,{host}")

    assert "3/3 tasks run" in run.stdout


@pytest.mark.parametrize("case", [pytest.param(None, id="C-011")])
def test_factfile_is_not_opened_on_the_wrong_host(case, factotum):
    run = factotum("run", "nofile", "--constraint", "host,bad.invalid")

    assert (run.exit, run.out) == (0, warning("bad.invalid", NO_ADDRESS))


@pytest.mark.parametrize("case", [pytest.param(None, id="C-015")])
def test_wrong_host_sends_no_event(case, factotum, chain):
    with Receiver() as receiver:
        run = factotum(
            *("run", "chain", "--webhook", receiver.url, "--constraint", "host,bad.invalid")
        )

    assert (run.exit, run.out) == (0, warning("bad.invalid", NO_ADDRESS))
    assert receiver.connections == 0


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("NODE1.invalid", id="C-017.capitals"),
        pytest.param("Node1", id="C-017.without-domain"),
    ],
)
def test_own_name_must_be_equal_letter_by_letter(host, elsewhere):
    run = elsewhere("--constraint", f"host,{host}", name="Node1.invalid")

    assert (run.returncode, run.stdout) == (0, warning(host, NO_ADDRESS))


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("127.1", id="C-018.short"),
        pytest.param("0.0.0.0", id="C-018.any"),
        pytest.param("::1", id="C-018.ipv6"),
    ],
)
def test_addresses_that_are_no_interface_s_do_not_match(host, factotum, chain):
    assert golden.own_ipv4_addresses(), "this case needs a non-loopback IPv4 interface"

    run = factotum("run", "chain", "--constraint", f"host,{host}")

    assert (run.exit, run.out) == (0, warning(host, NO_MATCH))


@pytest.mark.parametrize(
    ("args", "code", "start"),
    [
        pytest.param(["--start", "zz"], 0, "Warn: the specifed host", id="C-019.start"),
        pytest.param(["--env", "x"], 3, "Supplied string 'x' is not", id="C-019.env"),
    ],
)
def test_host_is_checked_after_env_and_before_the_factfile(args, code, start, factotum, chain):
    run = factotum("run", "chain", "--constraint", "host,bad.invalid", *args)

    assert run.exit == code
    assert run.out.startswith(start)
