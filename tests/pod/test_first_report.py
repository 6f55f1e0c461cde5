"""When a run is first told of: a moment after it began, so that a short one tells its end only.

Real: the run, its tasks, the reporter and its thread. The line to the controller writes down.
"""

import time

from factotum.core.wire.reports import Report
from factotum.pod.controller_link import Reply
from factotum.pod.reporting import FIRST_SECONDS
from support.builders.factfiles import task

LONG = task("a", "sleep", str(FIRST_SECONDS + 1.5))


class Line:
    """Takes every report, and keeps when it came and what it said."""

    def __init__(self):
        self.begun = time.monotonic()
        self.told = []

    def post(self, _path, body, **_):
        self.told.append((time.monotonic() - self.begun, Report.from_json(body)))
        return Reply(200, {"order": None})

    def close(self):
        pass


def test_a_run_that_ends_at_once_tells_its_end_and_nothing_else(run_job):
    line = Line()

    run_job(line=line)

    assert [report.final for _, report in line.told] == [True]


def test_a_run_that_goes_on_is_told_of_after_a_moment(run_job):
    line = Line()

    run_job(LONG, line=line)

    when, report = line.told[0]
    assert FIRST_SECONDS <= when < 1.5
    assert (report.states, report.final) == ("R", False)
    told = [(report.states, report.final) for _, report in line.told]
    # On a busy machine a moment passes between the task's end and that of the run.
    assert [each for each in told if each != ("S", False)] == [("R", False), ("S", True)]
