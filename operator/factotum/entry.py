"""The console scripts `factotum`, whose `work` is the Pod's side, and `factotum-server`.

Everything else is the command line.
"""

from __future__ import annotations

import _thread
import os
import sys

from factotum.runner import inherited


def main() -> int:
    """Run the program with its process's arguments; the return value is its exit code."""
    inherited.keep_to_own_modules()
    code = _main()
    # PYTHONINSPECT, meant for a task, would keep the interpreter. A thread that still waits, for
    # a name server or a reader, may crash the interpreter that is taken down around it.
    if sys.flags.inspect or _thread._count():  # noqa: SLF001 - threading would be slow to load
        os._exit(code)
    return code


def serve() -> int:
    """Run the job server by the original's name, `factotum-server`."""
    inherited.keep_to_own_modules()
    from factotum.gateway.main import main as serve_by_that_name

    return serve_by_that_name()


def _main() -> int:
    inherited.open_standard_streams()
    inherited.listen_to_signals()
    argv = _read_arguments()
    if argv[:1] == ["work"]:
        from factotum.pod import work

        return work.main(argv[1:])
    if argv[:1] == ["server"]:
        return _serve(argv[1:])
    from factotum.cli.main import main as run_command_line

    return run_command_line(argv)


def _serve(argv: list[str]) -> int:
    try:
        from factotum.gateway.main import run
    except ImportError as error:
        sys.stderr.write(f"{error}: install what the server needs, pip install '.[server]'\n")
        return 1
    return run(argv)


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
