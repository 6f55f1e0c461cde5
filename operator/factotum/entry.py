"""The console script `factotum`: `work` is the Pod's side, everything else the command line."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False


def main() -> int:
    """Run the program with its process's arguments; the return value is its exit code."""
    _open_standard_streams()
    argv = _read_arguments()
    if argv[:1] == ["work"]:
        from factotum.pod import work

        return work.main(argv[1:])
    _die_by_interrupts()
    from factotum.cli.main import main as run_command_line

    return run_command_line(argv)


def _read_arguments() -> list[str]:
    """Return the arguments; their bytes mean UTF-8, whatever the locale says.

    Python has decoded them by the locale, and what its codecs make of that does not always lead
    back; so they are read again.
    """
    words = sys.argv[1:]
    if not words or sys.getfilesystemencoding() == "utf-8":
        return words
    try:
        with open("/proc/self/cmdline", "rb") as file:  # noqa: PTH123 - pathlib costs start-up
            read = file.read().split(b"\0")[-len(words) - 1 : -1]
    except OSError:
        read = [os.fsencode(word) for word in words]
    return [word.decode("utf-8", "surrogateescape") for word in read]


def _open_standard_streams() -> None:
    """Put /dev/null where a standard stream is closed, or our pipes would land there."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            # Gets the lowest number, which is this one. Tasks inherit it, as any stream.
            os.set_inheritable(os.open("/dev/null", os.O_RDWR), True)


def _die_by_interrupts() -> None:
    """Let SIGINT end the process without a traceback, until a run catches it."""
    if TYPE_CHECKING:
        import signal as _signal
    else:
        import _signal  # the C part of signal: the module itself imports enum
    if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
        _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
