"""FactotumJobs as jobs: what is shown of them, whoever wrote what into them. Pure."""

import json

import pytest

from factotum.core.words.reasons import Reason
from factotum.jobs.errors import NotPossibleError, UnknownJobError
from factotum.jobs.kubernetes.objects import naming, orders, records
from factotum.jobs.views import Order
from factotum.kube import names
from factotum.kube.resource import FactotumJob
from support.builders.manifests import make_factfile, make_job, make_task

JOB_ID = "ab" * 32


def make_raw(annotations=None, spec=None, **status):
    raw = make_job("ns", make_factfile(make_task("a"), make_task("b", "a")), **(spec or {}))
    raw["metadata"] |= {
        "uid": "0123456789-uid",
        "resourceVersion": "17",
        "creationTimestamp": "2026-01-02T03:04:05Z",
        "annotations": annotations or {},
    }
    return raw | {"status": status}


def submission(**fields):
    document = {
        "jobId": JOB_ID,
        "jobName": "given",
        "factfilePath": "/f",
        "factfileArgs": ["--tag", "a,b"],
        "nonce": "n",
    }
    return {names.ANNOTATION_SUBMISSION: json.dumps(document | fields)}


def test_what_was_asked_for_is_shown():
    record = records.read(make_raw(submission()))
    view = record.view
    assert (view.name, view.factfile_path, record.args) == ("given", "/f", ("--tag", "a,b"))
    assert (view.job_id, view.state, view.outcome, view.tasks_total) == (
        JOB_ID,
        "QUEUED",
        "WAITING",
        2,
    )
    assert view.submitted_ms == 1767323045000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nothing",
        "[]",
        "null",
        "1",
        "{}",
        "[" * 100_000,
        submission(jobId=7),
        submission(factfileArgs="x"),
        submission(factfileArgs=[1]),
        submission(jobName=None),
    ],
)
def test_what_others_write_in_its_place_is_not_believed(text):
    annotations = text if isinstance(text, dict) else {names.ANNOTATION_SUBMISSION: text}
    view = records.read(make_raw(annotations)).view
    assert (view.name, view.factfile_path) == ("job", "factotumjobs/ns/job")


def test_the_operators_job_id_counts_and_not_the_one_that_was_written_on_it():
    assert records.read(make_raw(submission(), jobId="cd" * 32)).view.job_id == "cd" * 32


@pytest.mark.parametrize(
    ("status", "counts"),
    [
        ({"progress": "1/2"}, (2, 0, 0)),
        (
            {"tasks": [{"name": "a", "state": "FAILED"}, {"name": "b", "state": "WAITING"}]},
            (2, 1, 1),
        ),
        ({"taskStates": "SNFKRW"}, (6, 4, 1)),
        ({"tasks": [{"name": "a", "state": "SKIPPED"}]}, (1, 1, 0)),
        ({"taskStates": "??"}, (2, 0, 0)),
        ({"progress": "x/y"}, (2, 0, 0)),
    ],
)
def test_tasks_are_counted(status, counts):
    view = records.read(make_raw(**status)).view
    assert (view.tasks_total, view.tasks_done, view.tasks_failed) == counts


FAILED = {"state": "DONE", "outcome": "FAILED", "reason": "TaskFailed", "attempt": 1}
RESUME = {names.ANNOTATION_RESUME: "x"}


@pytest.mark.parametrize(
    ("annotations", "spec", "status", "state", "is_open"),
    [
        ({}, {}, {}, "QUEUED", True),
        ({}, {}, FAILED, "DONE", False),
        (RESUME, {}, FAILED, "QUEUED", True),
        (RESUME, {}, FAILED | {"resumeSeen": "x"}, "DONE", False),
        (RESUME, {"desiredState": "Cancel"}, FAILED, "DONE", False),
        ({}, {}, FAILED | {"reason": "Cancelled"}, "QUEUED", True),
        ({}, {"desiredState": "Cancel"}, FAILED | {"reason": "Cancelled"}, "DONE", False),
        (RESUME, {}, FAILED | {"outcome": "SUCCEEDED"}, "DONE", False),
    ],
)
def test_a_job_that_is_to_be_resumed_waits_already(annotations, spec, status, state, is_open):
    record = records.read(make_raw(annotations, spec, **status))
    assert (record.view.state, record.is_open) == (state, is_open)
    assert record.waits is (state == "QUEUED")
    assert record.view.attempt == (2 if state == "QUEUED" and status else 1)


def test_a_suspended_job_is_open_and_does_not_stand_in_the_queue():
    record = records.read(make_raw(state="QUEUED", outcome="WAITING", reason=Reason.SUSPENDED))
    assert (record.is_open, record.waits) == (True, False)


def test_a_job_that_is_being_deleted_holds_nothing():
    raw = make_raw(state="WORKING", outcome="RUNNING")
    raw["metadata"]["deletionTimestamp"] = "2026-01-02T03:04:06Z"
    assert not records.read(raw).is_open


def job(spec=None, annotations=None, **status):
    return FactotumJob.from_raw(make_raw(annotations, spec, **status))


def test_orders_are_given_to_the_version_that_was_looked_at():
    assert orders.stop(job(), Order.SUSPEND) == {
        "spec": {"desiredState": "Suspend"},
        "metadata": {"resourceVersion": "17"},
    }
    assert orders.resume(job(**FAILED)) == {
        "spec": {"desiredState": "Run"},
        "metadata": {
            "resourceVersion": "17",
            "annotations": {names.ANNOTATION_RESUME: "version-17"},
        },
    }
    suspended = job({"desiredState": "Suspend"}, state="QUEUED", reason="Suspended")
    assert orders.resume(suspended)["spec"] == {"desiredState": "Run"}
    assert orders.stop(suspended, Order.CANCEL)["spec"] == {"desiredState": "Cancel"}


def test_orders_that_are_given_already_change_nothing():
    assert orders.stop(job({"desiredState": "Cancel"}, state="WORKING"), Order.CANCEL) is None
    assert orders.resume(job(annotations=RESUME, **FAILED)) is None


@pytest.mark.parametrize(
    ("order", "given"),
    [
        (Order.SUSPEND, job(**FAILED)),
        (Order.CANCEL, job(**FAILED)),
        (
            Order.SUSPEND,
            job({"desiredState": "Suspend"}, state="QUEUED", reason="Suspended"),
        ),
    ],
)
def test_there_is_nothing_to_stop(order, given):
    with pytest.raises(NotPossibleError):
        orders.stop(given, order)


@pytest.mark.parametrize(
    "given",
    [job(), job(state="WORKING"), job(**(FAILED | {"outcome": "SUCCEEDED"}))],
)
def test_there_is_nothing_to_resume(given):
    with pytest.raises(NotPossibleError):
        orders.resume(given)


def test_runs_are_numbered_by_their_names():
    assert naming.run_name(JOB_ID, 7) == f"{'ab' * 16}-7"
    assert naming.run_number(naming.run_name(JOB_ID, 7), JOB_ID) == 7
    for name in ("job", f"{'cd' * 16}-7", f"{'ab' * 16}", f"{'ab' * 16}-07", f"{'ab' * 16}-7-1"):
        assert naming.run_number(name, JOB_ID) == 0


@pytest.mark.parametrize("key", ["", ".", "a", ".uid", "a.", "A.uid", "../x.uid", "a.x/y", "a.\0"])
def test_what_is_no_key_names_nothing(key):
    with pytest.raises(UnknownJobError):
        naming.name_in(key)
