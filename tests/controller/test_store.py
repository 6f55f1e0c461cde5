"""The store: only newer versions count, and done jobs are kept small. Pure."""

from factotum.controller.facts.cache import Store
from support.jobs import JOB_UID, done_status, raw_job, raw_pod, working_status


def test_an_older_version_does_not_hide_a_newer_one():
    store = Store()
    newer = store.put_job(raw_job(resourceVersion="12", status=working_status()))

    assert store.put_job(raw_job(resourceVersion="11")) is newer
    assert store.jobs[JOB_UID] is newer


def test_versions_are_compared_as_numbers():
    store = Store()
    store.put_job(raw_job(resourceVersion="99"))

    assert store.put_job(raw_job(resourceVersion="100")).version == 100


def test_an_older_pod_does_not_hide_a_newer_one():
    store = Store()
    store.put_pod(raw_pod(resourceVersion="12", status={"phase": "Succeeded"}))
    store.put_pod(raw_pod(resourceVersion="11"))

    (pod,) = store.pods_of(JOB_UID)
    assert pod.ended


def test_pods_of_one_name_are_apart():
    store = Store()
    store.put_pod(raw_pod(uid="first"))
    store.put_pod(raw_pod(uid="second"))
    store.drop_pod(JOB_UID, "first")

    assert [pod.uid for pod in store.pods_of(JOB_UID)] == ["second"]
    assert [pod.uid for pod in store.pods()] == ["second"]


def test_foreign_pods_are_not_kept():
    store = Store()

    assert store.put_pod(raw_pod(labels={})) is None
    assert store.pods() == []


def test_dropping_what_is_not_there_is_nothing():
    store = Store()
    store.drop_job(JOB_UID)
    store.drop_pod(JOB_UID, "no such")

    assert store.pods_of(JOB_UID) == ()


def test_a_done_job_is_kept_without_its_bulk():
    store = Store()

    job = store.put_job(
        raw_job(
            spec={"factfile": {"big": 1}, "env": {"a": "b"}},
            status=done_status(),
            managedFields=[{}],
        )
    )

    assert job.is_done
    assert "factfile" not in job.spec
    assert job.env == {"a": "b"}
    assert "tasks" not in job.status


def test_a_job_that_runs_is_kept_whole():
    job = Store().put_job(raw_job(spec={"factfile": {"big": 1}}, status=working_status()))

    assert job.spec["factfile"] == {"big": 1}
    assert job.status["tasks"]


ENDED = {
    "phase": "Succeeded",
    "containerStatuses": [{"name": "factotum", "state": {"terminated": {"exitCode": 0}}}],
}


def test_how_a_pod_ended_is_known_after_it_is_gone():
    store = Store()
    store.put_job(raw_job(status=working_status()))
    store.put_pod(raw_pod(status=ENDED))
    store.drop_pod(JOB_UID, "pod-uid-1")

    assert [pod.terminated.exit_code for pod in store.pods_of(JOB_UID)] == [0]
    assert store.pods() == []


def test_how_a_pod_ended_is_of_no_use_once_the_job_is_done():
    store = Store()
    store.put_job(raw_job(status=working_status()))
    store.put_pod(raw_pod(status=ENDED))
    store.drop_pod(JOB_UID, "pod-uid-1")
    store.put_job(raw_job(resourceVersion="11", status=done_status()))

    assert store.pods_of(JOB_UID) == ()


def test_a_job_that_is_gone_takes_everything_along():
    store = Store()
    store.put_job(raw_job(status=working_status()))
    store.put_pod(raw_pod(status=ENDED))
    store.drop_pod(JOB_UID, "pod-uid-1")
    store.drop_job(JOB_UID)

    assert store.pods_of(JOB_UID) == ()


def test_a_pod_that_went_without_a_word_is_just_gone():
    store = Store()
    store.put_job(raw_job(status=working_status()))
    store.put_pod(raw_pod())
    store.drop_pod(JOB_UID, "pod-uid-1")

    assert store.pods_of(JOB_UID) == ()
