"""What a runner may find at its start, entry by entry: put right, or passed on by intent.

A launcher sets it all up and becomes the installed command, as a careless parent would.
"""

import os
import signal
import subprocess
import sys

import pytest

from support.builders.factfiles import factfile, task
from support.commands import clean_environ, factotum_command, own_effects

LAUNCHER = """
import ctypes, os, resource, signal, sys
libc = ctypes.CDLL(None)
entries = [f"{name}={value}".encode() for name, value in os.environ.items()]
exec(os.environ["SETTING"])
entries = [entry for entry in entries if not entry.startswith(b"SETTING=")]
argv = [os.fsencode(each) for each in sys.argv[1:]]
def vector(items):
    return (ctypes.c_char_p * (len(items) + 1))(*items, None)
libc.execve(argv[0], vector(argv), vector(entries))
"""

# glibc keeps these two to itself; the others that are missing cannot be ignored.
SIGNALS = [n for n in range(1, 65) if n not in (signal.SIGKILL, signal.SIGSTOP, 32, 33)]

HEARD, IGNORED, DEFAULT = "heard", "ignored", "default"

IGNORED_BY_THE_PARENT = {
    # signal: (what the runner does, what tasks begin with)
    signal.SIGTERM: (HEARD, DEFAULT),  # a stop is always heard, as by the original
    signal.SIGINT: (HEARD, DEFAULT),
    signal.SIGCHLD: (HEARD, DEFAULT),  # or exit codes would be lost, theirs too
    signal.SIGPIPE: (IGNORED, DEFAULT),  # Python's way; a task's `yes | head` needs it
    signal.SIGXFSZ: (IGNORED, DEFAULT),
}
"""All others stay ignored for both: `nohup` has its effect, and so has what a shell protects."""


def launch(tmp_path, setting, *tasks, command="run", **options):
    (tmp_path / "job").write_text(factfile("x", *tasks))
    return subprocess.run(
        [*own_effects(), sys.executable, "-c", LAUNCHER, factotum_command(), command, "job"],
        cwd=tmp_path,
        env=clean_environ(tmp_path, {"SETTING": setting}),
        capture_output=True,
        check=False,
        timeout=30,
        start_new_session=True,
        **options,
    )


def lines_of(done, name: str = "t") -> list[str]:
    begin = f"[{name}] "
    text = done.stdout.decode("utf-8", "surrogateescape")
    return [line.removeprefix(begin) for line in text.split("\n") if line.startswith(begin)]


def read_masks(lines) -> dict[str, set[int]]:
    masks = {}
    for line in lines:
        name, _, value = line.partition(":\t")
        if name not in ("SigBlk", "SigIgn", "SigCgt"):
            continue
        bits = int(value, 16)
        masks[name] = {number for number in range(1, 65) if bits >> (number - 1) & 1}
    return masks


MASKS = "cat /proc/{}/status"
# Who starts a process blocks all signals for that moment, which is none of its lasting mask.
MOMENT = "for n in 1 2 3; do grep -q 'SigBlk:.0*$' /proc/$PPID/status && break; sleep 0.5; done; "


def see_signals(tmp_path, setting):
    """Return the runner's masks and those of a task's shell."""
    done = launch(
        tmp_path,
        setting,
        task("runner", MOMENT + MASKS.format("$PPID")),
        task("t", "exec " + MASKS.format("self")),  # the shell itself catches what it likes
    )
    assert done.returncode == 0, done
    return read_masks(lines_of(done, "runner")), read_masks(lines_of(done))


def seen(masks, number) -> str:
    if number in masks["SigIgn"]:
        return IGNORED
    return HEARD if number in masks["SigCgt"] else DEFAULT


def test_ignored_signals_are_heard_or_stay_ignored_as_the_table_says(tmp_path):
    setting = f"for n in {SIGNALS}: signal.signal(n, signal.SIG_IGN)"
    runner, shell = see_signals(tmp_path, setting)

    found = {number: (seen(runner, number), seen(shell, number)) for number in SIGNALS}
    expected = dict.fromkeys(SIGNALS, (IGNORED, IGNORED)) | IGNORED_BY_THE_PARENT
    assert found == {int(number): both for number, both in expected.items()}


def test_with_nothing_ignored_tasks_begin_with_all_signals_at_their_default(tmp_path):
    runner, shell = see_signals(tmp_path, "pass")

    assert {number for number in SIGNALS if seen(shell, number) != DEFAULT} == set()
    assert {number for number in SIGNALS if seen(runner, number) == HEARD} == {
        signal.SIGTERM,
        signal.SIGINT,
        signal.SIGCHLD,
    }


def test_blocked_signals_are_unblocked_for_the_runner_and_its_tasks(tmp_path):
    setting = "signal.pthread_sigmask(signal.SIG_SETMASK, range(1, 65))"
    runner, shell = see_signals(tmp_path, setting)

    assert runner["SigBlk"] == shell["SigBlk"] == set()


@pytest.mark.parametrize(
    ("setting", "command", "shown"),
    [
        pytest.param("os.umask(0o027)", "umask", ["0027"], id="umask"),
        pytest.param("os.nice(3)", "nice", [str(min(os.nice(0) + 3, 19))], id="nice"),
        pytest.param(
            "resource.setrlimit(resource.RLIMIT_NOFILE, (321, 654))",
            "ulimit -Sn; ulimit -Hn",
            ["321", "654"],
            id="limits",
        ),
        pytest.param(
            "r, w = os.pipe(); os.write(w, b'hi\\n'); os.dup2(r, 9); os.close(w)",
            "head -1 <&9",
            ["hi"],
            id="a descriptor",
        ),
        pytest.param("os.close(0)", "cat; echo ended", ["ended"], id="no standard input"),
        pytest.param(
            "r, w = os.pipe(); os.write(w, b'in\\n'); os.close(w); os.dup2(r, 0)",
            "cat",
            ["in"],
            id="standard input",
        ),
    ],
)
def test_what_else_a_process_has_goes_to_tasks_as_it_is(tmp_path, setting, command, shown):
    done = launch(tmp_path, setting, task("t", command))

    assert lines_of(done) == shown, done


ENVIRONMENT = [
    # what is added to it, what tasks see of that
    ([b"=x"], []),
    ([b"="], []),
    ([b"=C:=C:\\dir"], []),
    ([b"noequals"], []),
    ([b""], []),
    ([b"A="], [b"A="]),
    ([b"A=1=2"], [b"A=1=2"]),
    ([b"A=\xff\xfe\n"], [b"A=\xff\xfe\n"]),
    ([b"\xe4\xff=1"], [b"\xe4\xff=1"]),
    ([b"a b.c-d=1"], [b"a b.c-d=1"]),
    ([b"A=first", b"A=second"], [b"A=first"]),  # as getenv has it
    ([b"A=" + b"x" * 100_000], [b"A=" + b"x" * 100_000]),
]


@pytest.mark.parametrize("option", [[], ["--no-colour"]], ids=["plain", "no-colour"])
@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "POSIX"])
@pytest.mark.parametrize(("added", "expected"), ENVIRONMENT)
def test_odd_entries_of_the_environment_go_on_or_go_away(tmp_path, added, expected, locale, option):
    setting = f"entries += [b'LC_ALL={locale}', *{added!r}]; sys.argv += {option!r}"
    (tmp_path / "seen").touch()

    done = launch(
        tmp_path,
        f"entries = [e for e in entries if not e.startswith(b'LC_ALL=')]; {setting}",
        task("t", "cat /proc/$$/environ >seen"),
    )

    assert done.returncode == 0, done
    known = (b"PATH=", b"HOME=", b"LANG=", b"LC_", b"TZ=", b"CLICOLOR=", b"PWD=")
    entries = (tmp_path / "seen").read_bytes().split(b"\0")
    assert [e for e in entries if e and not e.startswith(known)] == expected
    assert (b"CLICOLOR=0" in entries) is bool(option)


@pytest.mark.parametrize("variable", ["PYTHONPATH", "PYTHONINSPECT"])
@pytest.mark.parametrize("option", [[], ["--constraint", "host,*"], ["--output-format=json"]])
def test_what_is_told_to_the_python_of_tasks_does_not_change_the_runner(tmp_path, variable, option):
    modules = tmp_path / "modules"
    modules.mkdir()
    for name in ("select", "errno", "socket", "json", "threading"):  # as some project calls its own
        (modules / f"{name}.py").write_text("raise SystemExit('a module of the tasks')")

    done = launch(
        tmp_path,
        f"entries += [b'{variable}={modules}']; sys.argv += {option!r}",
        task("t", f'test -n "${variable}"'),
    )

    assert (done.returncode, b"Traceback" in done.stderr) == (0, False), done


@pytest.mark.parametrize(
    ("command", "accepted", "code"),
    [("exit 0", 0, 0), ("exit 3", 3, 0), ("exit 3", 1, 2), ("exit 1", 0, 2), ("kill -9 $$", 1, 0)],
)
def test_exit_codes_count_though_the_parent_ignores_deaths_of_children(
    tmp_path, command, accepted, code
):
    done = launch(
        tmp_path,
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
        *(task(f"t{number}", command, ok=[accepted]) for number in range(20)),
    )

    assert done.returncode == code, done


def test_a_child_of_the_parent_that_became_the_runner_disturbs_nothing(tmp_path):
    setting = "\nfor n in 1, 2, 3:\n if not os.fork(): os._exit(n)\n"
    done = launch(tmp_path, setting, task("a", "exit 7", ok=[7]), task("b", "sleep 0.2", after="a"))

    assert done.returncode == 0, done


NO_DEVICES = """
import os
from factotum.runner import inherited
def refuse(*_):
    raise FileNotFoundError(2, "No such file or directory")
os.close(0)
os.open = refuse
inherited.open_standard_streams()
print(os.read(0, 10), os.get_inheritable(0))
"""


def test_without_devices_a_closed_stream_is_filled_all_the_same():
    done = subprocess.run(
        [sys.executable, "-c", NO_DEVICES], capture_output=True, text=True, check=False
    )

    assert done.stdout == "b'' True\n", done
