"""Start-up is part of the product: what each command imports is pinned.

Asked of a real interpreter started for the purpose. A module that appears here
costs every Pod and every cron line; add it only with a measurement.
"""

import subprocess
import sys

import pytest

from support.builders.factfiles import CHAIN

SCRIPT = """
import os, sys
before = set(sys.modules)
from factotum.cli.main import main
main(sys.argv[1:])
print("\\n" + " ".join(sorted(set(sys.modules) - before)))
"""

# Built into the interpreter or a single C file; nothing in Python comes with them.
CHEAP = {"_heapq", "_json", "_signal", "select", "time", "__future__", "errno"}


def imported(tmp_path, *argv: str) -> set[str]:
    (tmp_path / "job").write_text(CHAIN)
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys\nsys.path[:0] = {sys.path!r}\n{SCRIPT}",
            *argv,
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
        start_new_session=True,  # at a terminal there is more to do
    )
    names = set(done.stdout.splitlines()[-1].split())
    return {name for name in names if not name.startswith("factotum")} - CHEAP


@pytest.mark.parametrize(
    "argv",
    [
        ("--version",),
        ("--help",),
        ("validate", "job"),
        ("dot", "job"),
        ("run", "job"),
        ("run", "job", "--env", "{}", "--tag", "a,b"),
        ("run", "job", "--schedule", "eager", "--max-parallel", "2"),
        ("run", "job", "--constraint", "other,x"),
    ],
)
def test_plain_commands_import_nothing_but_c_modules(tmp_path, argv):
    assert imported(tmp_path, *argv) == set()


def test_the_pure_core_does_not_import_what_needs_time(tmp_path):
    script = (
        "import factotum.core.factfile.document\n"
        "print('re' in sys.modules, 'json' in sys.modules, 'enum' in sys.modules)"
    )

    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", f"import sys\nsys.path[:0] = {sys.path!r}\n{script}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == "False False False\n"
