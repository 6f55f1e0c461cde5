"""What `kubectl wait` and kstatus say of a job between its steps, and what a status write leaves.

Real: API server, kubectl, and the controller's own patches. kstatus's rules are in support. What
both say of every reason is seen in tests/cluster/reasons.
"""

import json
from datetime import UTC, datetime

import pytest

from factotum.controller.decide import status
from factotum.kube.resource import FactotumJob
from support.builders.jobs import make_plan, make_pod, make_report
from support.builders.manifests import make_job
from support.cluster.clusters import Refused
from support.cluster.kstatus import kstatus

pytestmark = pytest.mark.cluster

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
PLAN = make_plan("a")
FINAL = make_report("S", final=True, codes={0: 0}, seconds={0: 1.5}, started={0: 1772366400000})

STEPS = {
    "new": lambda _job: None,
    "queued": lambda job: status.waiting(job, "WaitingForWorker", "all workers are busy", NOW),
    "working": lambda job: status.claimed(job, PLAN, make_pod(), "c" * 32, NOW),
    "succeeded": lambda job: (
        status.progressed(job, FINAL, PLAN.task_names)
        | status.finished(job, succeeded=True, reason="Succeeded", message="1/1", now=NOW)
    ),
}


def walk(api, namespace, *steps):
    """Bring a job so far, by the controller's patches under the manager's own name."""
    api.kubectl("create", "-f", "-", manifest=make_job(namespace, tags={"team": "data"}))
    for step in steps:
        patch = STEPS[step](FactotumJob.from_raw(api.get("fj", "job", "-n", namespace)))
        if patch is not None:
            patch_status(api, namespace, patch)
    return api.get("fj", "job", "-n", namespace, "--show-managed-fields")


def patch_status(api, namespace, patch):
    text = json.dumps({"status": patch})
    api.kubectl(
        "patch", "fj", "job", "-n", namespace, "--subresource=status", "--type=merge",
        "--field-manager=factotum-operator", "-p", text,
    )  # fmt: skip


def is_met(api, namespace, *condition):
    try:
        api.kubectl("wait", "fj/job", "-n", namespace, "--timeout=0", *condition)
    except Refused as refused:
        if "condition not met" not in str(refused):
            raise
        return False
    return True


@pytest.mark.parametrize("steps", [["new"], ["queued", "working"]], ids="-".join)
def test_a_job_is_in_progress_from_its_first_moment_on(api, namespace, steps):
    raw = walk(api, namespace, *steps)

    ends = ("condition=Complete", "condition=Failed", "jsonpath={.status.state}=DONE")
    assert [end for end in ends if is_met(api, namespace, f"--for={end}")] == []
    assert kstatus(raw) == "InProgress"


def test_a_finished_job_whose_spec_was_changed_since_is_in_progress_again(api, namespace):
    walk(api, namespace, "working", "succeeded")
    api.kubectl("patch", "fj", "job", "-n", namespace, "--type=merge",
                "-p", '{"spec": {"ttlSecondsAfterFinished": 60}}')  # fmt: skip
    changed = api.get("fj", "job", "-n", namespace)

    patch_status(api, namespace, {"observedGeneration": 2})

    seen = api.get("fj", "job", "-n", namespace)
    assert [kstatus(changed), kstatus(seen)] == ["InProgress", "Current"]
    assert is_met(api, namespace, "--for=condition=Complete")


def test_what_has_ended_leaves_nothing_of_the_earlier_steps(api, namespace):
    raw = walk(api, namespace, "queued", "working", "succeeded")

    assert [c["type"] for c in raw["status"]["conditions"]] == ["Complete"]
    assert "taskCounts" not in raw["status"]
    assert raw["status"]["progress"] == "1/1"


def test_a_status_write_costs_few_bytes_of_managed_fields(api, namespace):
    raw = walk(api, namespace, "queued", "working", "succeeded")

    ours = [m for m in raw["metadata"]["managedFields"] if m["manager"] == "factotum-operator"]
    text = json.dumps(raw, separators=(",", ":"))
    print(
        f"a DONE job of one task: {len(text)} bytes, {len(json.dumps(ours))} of them managedFields"
    )
    assert [m["fieldsV1"] for m in ours] == [{"f:status": {}}]
    assert len(text) < 2600  # stored for each job, and decoded at each write


def test_only_the_status_that_was_patched_is_replaced(api, namespace):
    before = walk(api, namespace, "working")["status"]

    patch_status(api, namespace, {"sequence": 7})

    after = api.get("fj", "job", "-n", namespace)["status"]
    assert after == before | {"sequence": 7}
