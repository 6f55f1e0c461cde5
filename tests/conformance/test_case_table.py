"""No case of the specification may be without a test: the table against what pytest collects."""

import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def test_every_case_of_the_tables_has_a_test(request):
    lines = [line.split() for line in (HERE / "cases.txt").read_text().splitlines()]
    cases = {line[0]: line[1:] for line in lines if not line[0].startswith("#")}
    collected = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", HERE],
        check=True,
        capture_output=True,
        text=True,
        cwd=request.config.rootpath,
    ).stdout

    ids = set(re.findall(r"\[(?:\w+-)?([A-Z]+-[\w-]+)", collected))
    covered = {match.group() for each in ids if (match := re.match(r"[RCWS]-\d+", each))}
    covered |= {
        case
        for case, families in cases.items()
        if families and all(any(each.startswith(name) for each in ids) for name in families)
    }
    assert len(cases) == 375
    assert sorted(set(cases) - covered) == []
