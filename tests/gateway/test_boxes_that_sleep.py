"""A box that slept while others took its jobs over, and what it does when it wakes up.

Real: three servers as processes, SIGSTOP, Consul with its sessions (whose end takes 20 s),
the runners and their shells.
"""

import contextlib
import json
import os
import signal
import time

import pytest

from support.consul.process import ConsulProcess
from support.server.original import PREFIX
from support.server.running import Server, factfile

pytestmark = pytest.mark.consul

_SECONDS = 60


def wait_until(look, what):
    """Wait until something holds, and return it."""
    deadline = time.monotonic() + _SECONDS
    while not (found := look()):
        assert time.monotonic() < deadline, what
        time.sleep(0.05)
    return found


@pytest.mark.longer
def test_a_box_that_slept_runs_nothing_that_was_taken_and_writes_over_nothing(zygote, tmp_path):
    document = factfile("sh")
    line = f"while ! [ -e {tmp_path}/gate ]; do sleep 0.05; done; echo {{{{tag:n}}}} >> {tmp_path}"
    document["data"]["tasks"][0]["arguments"] = ["-c", f"{line}/ran"]
    with contextlib.ExitStack() as stack:
        consul = stack.enter_context(ConsulProcess.fresh(tmp_path / "consul"))
        servers = []
        for name in ("one", "two", "three"):
            (tmp_path / name).mkdir()
            options = (f"--consul-port={consul.port}", f"--consul-name={name}", "--max-workers=1")
            server = Server(zygote, tmp_path / name, *options, "--takeover-after=1")
            servers.append(stack.enter_context(server))
        one, two, _ = servers

        def entry(job_id):
            return json.loads(consul.get(f"{PREFIX}/{job_id}"))

        path = one.write("job", document)
        working, waiting = (one.submit(path, ["--tag", f"n,{n}"]) for n in ("working", "waiting"))
        one.wait_for(working, "WORKING")
        os.kill(one.process.pid, signal.SIGSTOP)
        stack.callback(os.kill, one.process.pid, signal.SIGCONT)
        wait_until(lambda: entry(waiting)["lastRunFrom"] != "one", "it is taken over")
        closed = two.wait_for(working, seconds=_SECONDS)
        assert closed["lastOutcome"] == "FAILED"
        os.kill(one.process.pid, signal.SIGCONT)

        def reason(key):
            return json.loads(one.ask(f"/v1/jobs/{key}").body)["job"]["reason"]

        wait_until(lambda: reason(1) == "Lost", "its run is stopped")
        wait_until(lambda: reason(2) == "Duplicate", "it is given up")
        (tmp_path / "gate").touch()
        assert two.wait_for(waiting)["lastOutcome"] == "SUCCEEDED"
        assert entry(working) == closed
        # The job is free for whoever submits it next, the one that slept included.
        assert one.submit(path, ["--tag", "n,working"]) == working
        assert one.wait_for(working, seconds=_SECONDS)["lastOutcome"] == "SUCCEEDED"

    assert (tmp_path / "ran").read_text().split() == ["waiting", "working"]
