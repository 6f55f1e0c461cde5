"""The typed view of a FactotumJob. Pure."""

from datetime import UTC, datetime, timedelta, timezone

from factotum.kube.resource import Claim, FactotumJob, format_time, parse_time
from support.builders.jobs import JOB_UID, make_job, raw_job, working_status


def test_a_new_job_is_at_its_first_launch_and_nobodys():
    job = make_job()

    assert (job.namespace, job.name, job.uid) == ("pipelines", "nightly", JOB_UID)
    assert (job.state, job.attempt, job.launch, job.sequence) == ("", 1, 1, 0)
    assert job.claim is None
    assert not job.is_done
    assert not job.deleting
    assert job.version == 10


def test_a_job_without_status_or_spec_is_read():
    raw = raw_job()
    del raw["status"], raw["spec"]

    job = FactotumJob.from_raw(raw)

    assert (job.env, job.tags, job.host_constraint) == ({}, {}, None)


def test_a_claimed_job_names_its_runner():
    job = make_job(status=working_status(sequence=7))

    assert job.claim == Claim(
        id="c" * 32, pod_name="nightly-1-1-0", pod_uid="pod-uid-1", node_name="node-a"
    )
    assert job.sequence == 7


def test_an_empty_claim_is_none():
    assert make_job(status={"claim": {}}).claim is None
    assert make_job(status={"claim": None}).claim is None


def test_what_was_asked_for_is_read_as_it_is():
    job = make_job(spec={"env": {"a": "1"}, "tags": {"b": "2"}, "constraints": {"host": ""}})

    assert (job.env, job.tags, job.host_constraint) == ({"a": "1"}, {"b": "2"}, "")


def test_a_job_being_deleted_is_seen_to_be():
    assert make_job(deletionTimestamp="2026-03-01T12:00:00Z").deleting


def test_times_are_written_and_read_as_kubernetes_does():
    moment = datetime(2026, 3, 1, 13, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=1)))

    assert format_time(moment) == "2026-03-01T12:00:00Z"
    assert parse_time("2026-03-01T12:00:00Z") == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert parse_time("2026-03-01T12:00:00.250Z").microsecond == 250_000
    assert parse_time("") is None
    assert parse_time(None) is None
