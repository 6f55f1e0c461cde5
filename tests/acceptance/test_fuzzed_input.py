"""Damaged input in the promised numbers: 100,000 mutants in one process, 1,000 as processes.

The checks themselves are those of `tests/fuzz`, which `make test` runs in small numbers.
"""

import os
import subprocess
import sys

import pytest

from support.cluster.clusters import ROOT

pytestmark = pytest.mark.acceptance


@pytest.mark.timeout(1800)
def test_no_damaged_input_ends_in_a_traceback():
    environ = {"FUZZ_IN_PROCESS": "100000", "FUZZ_PROCESSES": "1000", **os.environ}

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-s", "tests/fuzz"],
        cwd=ROOT,
        env=environ,
        check=False,
    )

    assert done.returncode == 0
