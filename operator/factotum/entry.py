"""The console script `factotum`: `work` is the Pod's side, everything else the command line."""

from __future__ import annotations

import sys

from factotum.runner import inherited


def main() -> int:
    """Run the program with its process's arguments; the return value is its exit code."""
    inherited.open_standard_streams()
    inherited.listen_to_signals()
    argv = sys.argv[1:]
    if argv[:1] == ["work"]:
        from factotum.pod import work

        return work.main(argv[1:])
    from factotum.cli.main import main as run_command_line

    return run_command_line(argv)
