"""All reasons brought about, once: under an operator of few workers, then under one of many.

Real: see the modules of the cases.
"""

import contextlib
import os
import sys
import time

import pytest

from support.cluster.clusters import ROOT
from support.cluster.hosts import private_files
from support.cluster.operator_process import Installation
from support.cluster.workbench import Workbench

sys.path.insert(0, str(ROOT / "hack" / "test-node"))

from cluster.reasons.page import table_of
from cluster.reasons.stage import CASES, Outcome, Stage, expected_row
from cluster.reasons.witness import Followed, gather_events

NOBODY = "nameserver 127.0.0.77\noptions timeout:1 attempts:1\n"
"""A resolver's address at which nobody is."""
TIGHT = ("--max-workers=2", "--max-jobs=1")
WIDE = ("--max-workers=200", "--dns-timeout=3")
RESTART_SECONDS = 7


@pytest.fixture(scope="session")
def outcomes(
    installation: Installation, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Outcome]:
    """What became of each reason; the table of it is written to build/reasons.md.

    All of it is over then: the nodes are others' to play.
    """
    folder = tmp_path_factory.mktemp("reasons")
    began = time.monotonic()
    with (
        Workbench(installation, f"reasons-{os.getpid()}", folder) as bench,
        private_files(folder, resolv=NOBODY) as prefix,
        Stage(bench, prefix) as stage,
        bench.nodes(),
        contextlib.ExitStack() as while_it_goes,
    ):
        with stage.operator(*TIGHT) as operator:
            # The kind is served only now.
            followed = while_it_goes.enter_context(Followed(bench.api))
            stage.begin(operator)
        with stage.operator(*WIDE) as operator:
            stage.go_on(operator)
        with stage.operator(*WIDE):
            # One that was away finds out anew what it knew of times, and tells nothing anew.
            time.sleep(RESTART_SECONDS)
            found = [o.seen for o in stage.outcomes.values() if o.seen is not None]
            gather_events(bench.api, found, {r: expected_row(r)[2] for r in CASES})
            for outcome in stage.outcomes.values():
                if outcome.seen is not None:
                    outcome.way = tuple(followed.way(outcome.seen.uid))
            stage.cancel_those_that_wait()
    print(f"\n{len(found)} reasons in {time.monotonic() - began:.0f} s")
    path = ROOT / "build" / "reasons.md"
    path.parent.mkdir(exist_ok=True)
    path.write_text(table_of(found))
    return stage.outcomes
