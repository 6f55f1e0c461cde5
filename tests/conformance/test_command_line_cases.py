"""Cases of the command line that no recorded run is named after (R-019 to R-029, R-096, R-097).

Real: the installed command, a terminal of its own where colour depends on one.
"""

import os
import pty
import subprocess

import pytest

from support.builders.factfiles import CHAIN, factfile, task
from support.commands import clean_environ

BAD_START = "URL must begin with 'http://' or 'https://' to be used with Factotum webhooks"


@pytest.fixture
def chain(tmp_path):
    (tmp_path / "chain").write_text(CHAIN)


@pytest.mark.parametrize("url", [pytest.param("HTTP://x/", id="R-019")])
def test_webhook_scheme_in_capitals_is_refused(url, factotum, chain):
    run = factotum("run", "chain", "--webhook", url)

    wanted = f'Error: the specifed webhook URL "{url}" is invalid. Reason: {BAD_START}\n'
    assert (run.exit, run.out) == (3, wanted)


@pytest.mark.parametrize(
    "args",
    [
        pytest.param(["-h", "-v"], id="R-023.help-and-version"),
        pytest.param(["-vh"], id="R-023.both-in-one"),
        pytest.param(["run"], id="R-023.run-without-file"),
        pytest.param(["validate"], id="R-023.validate-without-file"),
        pytest.param(["dot"], id="R-023.dot-without-file"),
        pytest.param(["run", "chain", "chain"], id="R-023.two-files"),
        pytest.param(["RUN", "chain"], id="R-023.capitals"),
        pytest.param([""], id="R-023.empty-argument"),
    ],
)
def test_arguments_that_fit_no_pattern_are_refused(args, factotum, chain):
    run = factotum(*args)

    if run.exit == 0 and "-h" in "".join(args):  # help may win over its company
        assert "Usage:" in run.out
        return
    assert run.exit == 3
    assert run.out.startswith("Invalid arguments.\n\nUsage:\n")
    assert not run.err


@pytest.mark.parametrize(
    ("option", "meant"),
    [
        pytest.param("--no-color", "--no-colour", id="R-024.no-color"),
        pytest.param("--Start=b", "--start", id="R-024.Start"),
        pytest.param("--webhok=x", "--webhook", id="R-024.webhok"),
        pytest.param("--st=b", None, id="R-024.st"),
        pytest.param("--max-stderr-size=3", None, id="R-024.max-stderr-size"),
    ],
)
def test_unknown_option_is_explained_by_its_nearest_neighbour(option, meant, factotum, chain):
    run = factotum("run", "chain", option)

    flag = option.partition("=")[0]
    hint = f". Did you mean '{meant}'?" if meant else ""
    assert run.exit == 3
    assert run.out.startswith(f"Unknown flag: '{flag}'{hint}\n\nUsage:\n")


@pytest.mark.parametrize(
    ("value", "fine"),
    [
        pytest.param("+5", True, id="R-025.plus"),
        pytest.param(" 5", False, id="R-025.blank"),
        pytest.param("0x10", False, id="R-025.hex"),
        pytest.param("1e3", False, id="R-025.exponent"),
        pytest.param("1.5", False, id="R-025.fraction"),
        pytest.param("18446744073709551616", False, id="R-025.too-large"),
    ],
)
def test_integer_options_take_plain_digits(value, fine, factotum, chain):
    run = factotum("run", "chain", f"--heartbeat-interval={value}")

    wanted = f"Could not decode '{value}' to u64 for '--heartbeat-interval'."
    assert run.exit == (0 if fine else 3)
    assert (run.out == wanted) is not fine


@pytest.mark.parametrize(
    "args",
    [
        pytest.param(["--tag=a,b\nc"], id="R-026.attached"),
        pytest.param(["--tag", "a,b\nc"], id="R-026.apart"),
    ],
)
def test_line_feed_in_an_option_value_is_accepted(args, factotum, chain):
    assert factotum("run", "chain", *args).exit == 0


@pytest.mark.parametrize(
    ("args", "wanted"),
    [
        pytest.param(["--start", "--dry-run"], "from '--dry-run' because", id="R-027.start"),
        pytest.param(["--tag", "--no-colour"], "3/3 tasks run", id="R-027.tag"),
    ],
)
def test_value_that_looks_like_an_option_is_a_value(args, wanted, factotum, chain):
    run = factotum("run", "chain", *args)

    assert wanted in run.out


@pytest.mark.parametrize("argument", [pytest.param(b"--tag=a,\xff", id="R-028.not-utf-8")])
def test_argument_that_is_not_utf_8_is_no_crash(argument, factotum, chain):
    run = factotum("run", "chain", argument)

    assert run.exit in (0, 3)
    assert "Traceback" not in run.err


@pytest.mark.parametrize("case", [pytest.param(None, id="R-028.reader-gone")])
def test_reader_of_the_output_may_go_away(case, command, chain, tmp_path):
    (tmp_path / "job").write_text(
        factfile(
            "j", task("a", "seq 20000; echo a >> ran"), task("b", "echo b >> ran", after=["a"])
        )
    )
    readable, writable = os.pipe()
    os.close(readable)
    process = subprocess.run(
        [command, "run", "job"],
        check=False,
        cwd=tmp_path,
        env=clean_environ(tmp_path),
        stdout=writable,
        stderr=subprocess.PIPE,
        timeout=30,
    )
    os.close(writable)

    assert process.returncode == 0  # the job's own exit code
    assert (tmp_path / "ran").read_text() == "a\nb\n"
    assert b"Traceback" not in process.stderr
    assert b"Exception" not in process.stderr


@pytest.mark.parametrize("case", [pytest.param(None, id="R-029")])
def test_working_folder_that_is_not_writable_is_told(case, command, tmp_path):
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o555)
    argv = [command, "--version"]
    if os.geteuid() == 0:  # nothing is closed to root, unless it has no capabilities
        os.chown(folder, 65534, 65534)
        argv = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", *argv]
    run = subprocess.run(
        argv,
        check=False,
        capture_output=True,
        text=True,
        cwd=folder,
        env=clean_environ(folder),
        timeout=30,
    )

    wanted = (
        f"Log initialization error: unable to create directory '{folder}/.factotum/' for logfile."
        " Reason: permission denied"
    )
    assert run.returncode == 3
    assert run.stdout.lower().startswith(wanted.lower())


@pytest.mark.parametrize(
    ("environ", "args", "coloured"),
    [
        pytest.param({"CLICOLOR_FORCE": ""}, [], True, id="R-096.force-empty"),
        pytest.param({"CLICOLOR_FORCE": "1"}, [], True, id="R-096.force"),
        pytest.param({"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}, [], True, id="R-096.force-wins"),
        pytest.param({"CLICOLOR_FORCE": "0"}, [], False, id="R-096.force-0"),
        pytest.param({"CLICOLOR": "1"}, [], False, id="R-096.clicolor"),
    ],
)
def test_colour_without_a_terminal_wants_force(environ, args, coloured, factotum, chain):
    run = factotum("validate", "chain", *args, environ=environ)

    text = "'chain' is a valid Factfile!"
    assert run.out == (f"\x1b[32m{text}\x1b[0m\n" if coloured else f"{text}\n")


@pytest.mark.parametrize(
    ("environ", "args", "coloured"),
    [
        pytest.param({}, [], True, id="R-097.nothing-set"),
        pytest.param({"NO_COLOR": ""}, [], False, id="R-097.no-color"),
        pytest.param({"CLICOLOR": "0"}, [], False, id="R-097.clicolor-0"),
        pytest.param({}, ["--no-colour"], False, id="R-097.option"),
    ],
)
def test_colour_on_a_terminal_is_the_default(environ, args, coloured, command, chain, tmp_path):
    leader, follower = pty.openpty()
    process = subprocess.run(
        [command, "validate", "chain", *args],
        check=False,
        cwd=tmp_path,
        env=clean_environ(tmp_path, environ),
        stdin=subprocess.DEVNULL,
        stdout=follower,
        stderr=follower,
        timeout=30,
    )
    os.close(follower)
    shown = os.read(leader, 1000).decode()
    os.close(leader)

    assert process.returncode == 0
    assert ("\x1b[32m" in shown) is coloured
    assert "'chain' is a valid Factfile!" in shown
