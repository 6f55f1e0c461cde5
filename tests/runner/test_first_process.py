"""The runner as process 1 of a PID namespace of its own, as in a Pod: orphans get reaped.

Needs root, as everything that is marked so.
"""

import pytest

from support.commands import factotum_command, run_command
from support.factfiles import factfile, task

ZOMBIES = "grep -c '^State:.Z' /proc/[0-9]*/status | grep -c ':1$'; true"


@pytest.mark.node
def test_orphans_of_tasks_are_reaped(tmp_path):
    orphans = "for i in 1 2 3; do (sleep 0.2 >/dev/null 2>&1 &); done"
    text = factfile(
        "x",
        task("a", orphans),
        task("b", f"sleep 0.6; {ZOMBIES}", after=["a"]),
        task("c", "exit", "3", after=["b"]),
    )
    (tmp_path / "job").write_text(text)
    argv = ["unshare", "--pid", "--fork", "--mount-proc", factotum_command(), "run", "job"]

    done = run_command(argv, cwd=tmp_path, timeout=20)

    assert "[b] 0\n" in done.out, done
    assert done.exit == 2
