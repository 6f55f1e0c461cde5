"""What a good job costs the API server: the controller's writes, counted in the audit log.

Real: the API server and its audit log, the operator's process with the chart's rights, a test node
with the real runner.
"""

from collections import Counter

import pytest

from support.cluster.acceptance import report, sized
from support.cluster.audit import Audit
from support.cluster.workbench import Workbench

pytestmark = pytest.mark.cluster

NATIVE_JOB = 7.9
"""Writes of the Job controller for one native Job."""
WRITES = {"create", "update", "patch", "delete", "deletecollection"}


def writes(asked):
    """Count what the operator wrote, and collect its refusals."""
    asked = [(f"{each.verb} {each.resource}", each) for each in asked if each.resource]
    found = Counter(what for what, each in asked if each.verb in WRITES)
    return found, [what for what, each in asked if each.code == 403]


def test_good_job_costs_three_writes_and_one_event(bench: Workbench):
    count = sized(20, 5)
    with bench.nodes(), bench.operator():
        audit = Audit(bench.installation)
        for number in range(count):
            bench.create(bench.book.chain(f"job-{number}", "true", "true"), name=f"job-{number}")
            assert bench.done(f"job-{number}")["outcome"] == "SUCCEEDED"
        bench.api.wait_for(
            f"/api/v1/namespaces/{bench.namespace}/events",
            lambda events: len(events["items"]) >= count,
            "one for each job",
        )
        found, refused = writes(audit.requests())

    reviews = found.pop("create tokenreviews", 0)
    events = found.pop("create events", 0)
    # One each two seconds, be there jobs or none.
    renewals = found.pop("update leases", 0)
    stored = found.total()
    report(
        "8 writes",
        jobs=count,
        writes_per_job=stored / count,
        events_per_job=events / count,
        lease_renewals=renewals,
        token_reviews_per_job=reviews / count,
        native_job=NATIVE_JOB,
        kinds=",".join(f"{what.replace(' ', ':')}={n}" for what, n in sorted(found.items())),
    )
    assert refused == []
    # The API server's keys tell whose a token is.
    assert reviews == 0
    assert events <= count
    # A progress patch is due after a second; a slow machine may take one for a job or two.
    assert stored / count <= 3.5
