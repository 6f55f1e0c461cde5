"""The cache: only newer versions count, and done jobs are kept small. Pure."""

from factotum.controller.facts.cache import Cache
from support.builders.jobs import JOB_UID, done_status, make_job, raw_job, raw_pod, working_status


def pods_of(cache):
    return cache.pods_of(make_job(status=working_status()))


def test_an_older_version_does_not_hide_a_newer_one():
    cache = Cache()
    newer = cache.put_job(raw_job(resourceVersion="12", status=working_status()))

    assert cache.put_job(raw_job(resourceVersion="11")) is newer
    assert cache.jobs[JOB_UID] is newer


def test_versions_are_compared_as_numbers():
    cache = Cache()
    cache.put_job(raw_job(resourceVersion="99"))

    assert cache.put_job(raw_job(resourceVersion="100")).version == 100


def test_an_older_pod_does_not_hide_a_newer_one():
    cache = Cache()
    cache.put_pod(raw_pod(resourceVersion="12", status={"phase": "Succeeded"}))
    cache.put_pod(raw_pod(resourceVersion="11"))

    (pod,) = pods_of(cache)
    assert pod.ended


def test_pods_of_one_name_are_apart():
    cache = Cache()
    cache.put_pod(raw_pod(uid="first"))
    cache.put_pod(raw_pod(uid="second"))
    cache.drop_pod("first")

    assert [pod.uid for pod in pods_of(cache)] == ["second"]
    assert [pod.uid for pod in cache.pods()] == ["second"]


def test_foreign_pods_are_not_kept():
    cache = Cache()

    cache.put_pod(raw_pod(labels={}))

    assert cache.pods() == []


def test_dropping_what_is_not_there_is_nothing():
    cache = Cache()
    cache.drop_job(JOB_UID)
    cache.drop_pod("no such")

    assert pods_of(cache) == ()


def test_a_done_job_is_kept_without_its_bulk():
    cache = Cache()

    job = cache.put_job(
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
    job = Cache().put_job(raw_job(spec={"factfile": {"big": 1}}, status=working_status()))

    assert job.spec["factfile"] == {"big": 1}
    assert job.status["tasks"]


ENDED = {
    "phase": "Succeeded",
    "containerStatuses": [{"name": "factotum", "state": {"terminated": {"exitCode": 0}}}],
}


def test_how_a_pod_ended_is_known_after_somebody_took_its_label_off():
    cache = Cache()
    cache.put_job(raw_job(status=working_status()))
    cache.put_pod(raw_pod(status=ENDED, resourceVersion="7"))
    cache.put_pod(raw_pod(status=ENDED, resourceVersion="8", labels={}))
    cache.drop_pod("pod-uid-1")

    assert [pod.terminated.exit_code for pod in pods_of(cache)] == [0]
    assert cache.pods() == []


def test_how_a_pod_ended_is_known_after_it_is_gone():
    cache = Cache()
    cache.put_job(raw_job(status=working_status()))
    cache.put_pod(raw_pod(status=ENDED))
    cache.drop_pod("pod-uid-1")

    assert [pod.terminated.exit_code for pod in pods_of(cache)] == [0]
    assert cache.pods() == []


def test_a_pod_that_was_failed_because_its_node_is_gone_is_known_after_it_is_gone():
    cache = Cache()
    cache.put_job(raw_job(status=working_status()))
    why = {"type": "DisruptionTarget", "status": "True", "reason": "DeletionByPodGC"}
    running = [{"name": "factotum", "state": {"running": {}}}]
    status = {"phase": "Failed", "conditions": [why], "containerStatuses": running}
    cache.put_pod(raw_pod(status=status))
    cache.drop_pod("pod-uid-1")

    assert [(pod.ended, pod.disruption[0]) for pod in pods_of(cache)] == [(True, "DeletionByPodGC")]


def test_how_a_pod_ended_is_of_no_use_once_the_job_is_done():
    cache = Cache()
    cache.put_job(raw_job(status=working_status()))
    cache.put_pod(raw_pod(status=ENDED))
    cache.drop_pod("pod-uid-1")
    cache.put_job(raw_job(resourceVersion="11", status=done_status()))

    assert pods_of(cache) == ()


def test_a_job_that_is_gone_takes_everything_along():
    cache = Cache()
    cache.put_job(raw_job(status=working_status()))
    cache.put_pod(raw_pod(status=ENDED))
    cache.drop_pod("pod-uid-1")
    cache.drop_job(JOB_UID)

    assert pods_of(cache) == ()


def test_a_pod_that_went_without_a_word_is_just_gone():
    cache = Cache()
    cache.put_job(raw_job(status=working_status()))
    cache.put_pod(raw_pod())
    cache.drop_pod("pod-uid-1")

    assert pods_of(cache) == ()


def test_an_answer_that_comes_late_brings_no_pod_back_that_is_gone():
    cache = Cache()
    cache.put_job(raw_job())
    cache.put_pod(raw_pod(resourceVersion="8"))
    cache.drop_pod("pod-uid-1")

    assert cache.made_pod(raw_pod(resourceVersion="7")).uid == "pod-uid-1"
    assert cache.pods() == []
    assert cache.own_pod("pod-uid-1") is None


def test_a_pod_whose_label_was_put_on_again_is_back():
    cache = Cache()
    cache.put_job(raw_job())
    cache.put_pod(raw_pod(resourceVersion="7"))
    cache.drop_pod("pod-uid-1")
    cache.put_pod(raw_pod(resourceVersion="9"))

    assert [pod.uid for pod in cache.pods()] == ["pod-uid-1"]


def test_of_the_pods_that_are_gone_only_the_last_are_remembered():
    cache = Cache()
    for number in range(3000):
        cache.put_pod(raw_pod(uid=f"pod-{number}", name=f"pod-{number}"))
        cache.drop_pod(f"pod-{number}")

    assert len(cache._gone) == 1024
