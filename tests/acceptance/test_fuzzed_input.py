"""Whatever is typed or written in a factfile ends with a message and an exit code of ours.

Mutated command lines and factfiles: many in one process through `main(argv)`, some through
the installed command. Real: everything but the tasks, for want of a shell in PATH.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support import mutations
from support.commands import factotum_command, run_command

ROOT = Path(mutations.__file__).parent


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "times", [5_000, pytest.param(100_000, marks=pytest.mark.acceptance, id="100000")]
)
def test_no_input_gets_an_exception_out_of_main(times, tmp_path):
    processes = []
    for seed in (1, 2):
        folder = tmp_path / str(seed)
        folder.mkdir()
        argv = [sys.executable, ROOT / "mutations.py", str(times // 2), str(seed)]
        processes.append(subprocess.Popen(argv, cwd=folder, stdout=subprocess.PIPE))
    told = [json.loads(process.communicate()[0]) for process in processes]

    codes = {}
    for each in told:
        for code, count in each["codes"].items():
            codes[code] = codes.get(code, 0) + count
    slowest = max(each["slowest"] for each in told)
    print(
        f"\n{times} mutated inputs in process: exit codes {codes}, slowest {slowest * 1000:.0f} ms"
    )
    findings = [finding for each in told for finding in each["findings"]]
    assert not findings, "\n".join(map(str, findings[:2]))
    assert set(codes) <= {"0", "1", "2", "3"}
    assert sum(codes.values()) == times


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "times", [100, pytest.param(1_000, marks=pytest.mark.acceptance, id="1000")]
)
def test_no_input_gets_a_traceback_out_of_the_command(times, tmp_path):
    drawn = mutations.Mutations(3)
    command = factotum_command()

    def attempt(number, made):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / mutations.FACTFILE).write_bytes(made.factfile)
        argv = [command, *map(os.fsencode, made.args)]
        return made, run_command(argv, cwd=folder, environ={"PATH": "/nonexistent"})

    with ThreadPoolExecutor(2) as pool:
        runs = list(pool.map(attempt, range(times), (drawn.draw() for _ in range(times))))

    print(f"\n{times} mutated inputs as processes: {sorted({run.exit for _, run in runs})}")
    for made, run in runs:
        assert run.exit in (0, 1, 2, 3), (made, run)
        assert b"Traceback" not in run.stdout + run.stderr, (made, run)
