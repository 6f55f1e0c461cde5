"""What a runner finds when it starts, and puts right: signals, streams, its terminal, its orphans.

What is not named here is passed on as it came: ignored signals (so that `nohup` keeps its
meaning), umask, limits, descriptors, the working folder.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal  # the C part of signal: the module itself imports enum

_SET_CHILD_SUBREAPER = 36  # of prctl
_ENXIO = 6


def keep_to_own_modules() -> None:
    """Look for the standard library before PYTHONPATH, which is there for tasks.

    Their folders may hold a `select.py` or a `socket.py` of their own.
    """
    library = os.path.dirname(os.__file__)  # noqa: PTH120 - pathlib costs start-up
    sys.path.sort(key=lambda path: not path.startswith(library) or path.endswith("-packages"))


def open_standard_streams() -> None:
    """Put /dev/null where a standard stream is closed, or our pipes would land there."""
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            # Gets the lowest number, which is this one. Tasks inherit it, as any stream.
            os.set_inheritable(_open_nothing(fd), True)


def _open_nothing(fd: int) -> int:
    try:
        return os.open("/dev/null", os.O_RDWR)
    except OSError:  # a folder made a root, without devices: a pipe whose other end is closed
        ends = os.pipe()
        kept = ends[0] if fd == 0 else ends[1]
        os.dup2(kept, fd)
        for end in ends:
            if end != fd:
                os.close(end)
        return fd


def listen_to_signals() -> None:
    """Make sure that SIGTERM and SIGINT end the process, until a run catches them.

    Like the original we hear them though our parent ignored or blocked them; what else it
    ignores stays so. Nothing stays blocked: to undo that is forgotten, never meant.
    """
    for number in (_signal.SIGTERM, _signal.SIGINT):
        # As process 1 the default would have no effect. Python's own for SIGINT is a traceback.
        effect = _end if is_first_process() else _signal.SIG_DFL
        _signal.signal(number, effect)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


def _end(number: int, _frame: object) -> None:
    os._exit(128 + number)


def is_first_process() -> bool:
    """Whether this is process 1, which has to reap everybody's orphans."""
    return os.getpid() == 1


def has_terminal() -> bool:
    """Whether the session has a terminal, whatever the standard streams are.

    Then a process that is not in the foreground's group may not read it: ssh, sudo and others
    do, and shells stop and continue the whole group.
    """
    try:
        fd = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return error.errno != _ENXIO and any(map(_controls_us, (0, 1, 2)))
    os.close(fd)
    return True


def _controls_us(fd: int) -> bool:
    try:
        os.tcgetpgrp(fd)
    except OSError:
        return False
    return True


def adopt_orphans() -> bool:
    """Become the parent of what tasks leave behind, as process 1 is; say whether we are."""
    if is_first_process():
        return True
    try:
        import ctypes

        return bool(ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    except (ImportError, OSError, AttributeError):
        return False  # not to be had here: only what has a living parent can be found
