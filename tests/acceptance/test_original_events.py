"""The original's recorded runs as FactotumJobs: the same events, task states and outcome.

Real: the API server with our chart, the operator's process, a test node with the real runner, a
webhook receiver. The records (tests/conformance/golden) are the original's own.
"""

import pytest

from support.builders.recorded_jobs import RecordedJobs, usable
from support.cluster.acceptance import report, sized
from support.cluster.workbench import PLAYED, Workbench

pytestmark = pytest.mark.cluster


def test_recorded_runs_of_the_original_are_the_same_as_jobs(bench: Workbench):
    chosen = list(usable())[:: sized(1, 3)]
    # Few at once: some records depend on the order in which tasks end.
    with (
        bench.nodes(),
        bench.operator("--max-workers=4"),
        RecordedJobs(bench.api, bench.namespace) as jobs,
    ):
        for number, (record, spec) in enumerate(chosen):
            jobs.start(record, spec, constraints={"host": PLAYED[number % 2]})
        events, wrong = jobs.compare(bench.folder, seconds=150)

    report("2 original's records", records=len(chosen), events=events, different=len(wrong))
    assert wrong == []
