"""Run the installed `factotum` as a process, the way a shell or cron would.

Whole life of a run in one place: a session of its own, both outputs captured as
they come, signals sent when a text has appeared, a time limit that kills the whole
session. One thread, no polling, so that hundreds of runs stay cheap.
"""

import contextlib
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple


class Signal(NamedTuple):
    """Send `number` once `after_text` stands in an output, `after_s` seconds later."""

    number: signal.Signals
    after_text: str = ""
    after_s: float = 0.0


class Run(NamedTuple):
    """What a finished process left: exit code (-N: ended by signal N) and bytes."""

    session: int
    exit: int
    stdout: bytes
    stderr: bytes
    seconds: float
    timed_out: bool

    @property
    def out(self) -> str:
        return self.stdout.decode("utf-8", "backslashreplace")

    @property
    def err(self) -> str:
        return self.stderr.decode("utf-8", "backslashreplace")


def at_once(text: str) -> str:
    """Return the text with less than a second taken for none: a loaded machine needs longer."""
    return re.sub(r"\b0\.[1-9]s", "0.0s", text)


def factotum_command() -> str:
    """Return the path of the installed command; its absence is an error, not a skip."""
    beside = Path(sys.executable).with_name("factotum")
    found = str(beside) if beside.exists() else shutil.which("factotum")
    if found is None:
        raise FileNotFoundError("no `factotum` beside this Python nor in PATH: run `make install`")
    return found


def clean_environ(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a small environment, the same on every machine."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        **(extra or {}),
    }


def own_effects() -> list[str]:
    """Return what to put before a command so that signals which are ignored here are not there.

    They are under `nohup`, and in what a script has put into the background.
    """
    ignored = [
        number.name.removeprefix("SIG")
        for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGCHLD)
        if signal.getsignal(number) is signal.SIG_IGN
    ]
    if not ignored:
        return []
    return [shutil.which("env") or "/usr/bin/env", f"--default-signal={','.join(ignored)}"]


def wait_until_idle(pid: int, seconds: float = 20.0) -> None:
    """Wait until a process does nothing but wait for something that does not come.

    However busy the machine is: a process that waits for its turn of the processor is no sleeper.
    """
    limit = time.monotonic() + seconds
    looks = 0
    while looks < 10:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
        looks = looks + 1 if state == "S" else 0
        if time.monotonic() > limit:
            raise AssertionError(f"process {pid} does not come to rest")
        time.sleep(0.03)


def run_command(
    argv: Sequence[str | bytes],
    *,
    cwd: Path,
    environ: Mapping[str, str] | None = None,
    stdin: bytes | None = None,
    signals: Sequence[Signal] = (),
    timeout: float = 60.0,
) -> Run:
    """Run a command to its end.

    Args:
        argv: the command and its arguments.
        cwd: its working folder, and its HOME.
        environ: what to add to `clean_environ`.
        stdin: what it may read, at most 64 KiB; empty without.
        signals: sent one after the other to the process itself, not to its group.
        timeout: seconds after which the session is killed.
    """
    process = _start(argv, cwd, clean_environ(cwd, environ), stdin)
    try:
        return _watch(process, list(signals), timeout)
    finally:
        if process.returncode is None:
            kill_session(process.pid)
            process.wait()
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def _start(
    argv: Sequence[str | bytes], cwd: Path, environ: Mapping[str, str], stdin: bytes | None
) -> "subprocess.Popen[bytes]":
    readable, writable = os.pipe()
    os.write(writable, stdin or b"")
    os.close(writable)
    try:
        return subprocess.Popen(
            [*own_effects(), *argv],
            cwd=cwd,
            env=environ,
            stdin=readable,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
    finally:
        os.close(readable)


def _watch(process: "subprocess.Popen[bytes]", signals: list[Signal], timeout: float) -> Run:
    begun = time.monotonic()
    outputs = {"stdout": bytearray(), "stderr": bytearray()}
    due: float | None = None
    with selectors.DefaultSelector() as selector:
        exited = os.pidfd_open(process.pid)
        selector.register(exited, selectors.EVENT_READ, None)
        for name, stream in (("stdout", process.stdout), ("stderr", process.stderr)):
            assert stream is not None
            selector.register(stream, selectors.EVENT_READ, name)
        ended_at: float | None = None
        limit = begun + timeout
        while selector.get_map() and (now := time.monotonic()) < limit:
            if due is None and signals and ended_at is None and _seen(signals[0], outputs):
                due = now + signals[0].after_s
            if due is not None and now >= due:
                if ended_at is None:
                    os.kill(process.pid, signals[0].number)
                del signals[0]
                due = None
                continue
            for key, _ in selector.select(min(limit, due or limit) - now):
                if key.data is None:
                    selector.unregister(key.fileobj)
                    ended_at = time.monotonic()
                    limit = min(limit, ended_at + 5)  # for output of what it left behind
                elif chunk := os.read(key.fd, 1 << 16):
                    outputs[key.data] += chunk
                else:
                    selector.unregister(key.fileobj)
        os.close(exited)
    timed_out = ended_at is None
    if timed_out:
        kill_session(process.pid)
    return Run(
        process.pid,
        process.wait(),
        bytes(outputs["stdout"]),
        bytes(outputs["stderr"]),
        (ended_at or time.monotonic()) - begun,
        timed_out,
    )


def _seen(wanted: Signal, outputs: Mapping[str, bytearray]) -> bool:
    text = wanted.after_text.encode()
    return any(text in output for output in outputs.values())


def session_members(session: int) -> list[int]:
    """Return the processes of a session that are alive, whatever group they are in."""
    members = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue  # it ended in this moment
            if int(fields[3]) == session and fields[0] != "Z":
                members.append(int(entry.name))
    return members


def left_of(session: int) -> list[int]:
    """Return what of a session stays: on a busy machine what was killed is there for a moment."""
    deadline = time.monotonic() + 5
    while (members := session_members(session)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return members


def kill_session(session: int) -> None:
    """End every process of a session of ours: a runner's tasks have groups of their own."""
    for pid in session_members(session):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
