"""What a job that may not run yet says, and when it ends instead. Pure."""

from dataclasses import replace

import pytest

from factotum.controller.decide.table import decide
from factotum.controller.facts.observed import Rival, Waits
from support.builders.jobs import NOW, brief, make_job, make_pod, observed, patched

AT_WORK = Rival(who="job early")
BEFORE = Rival(who="job early", has_id=False)
ENDING = Rival(who="the Pod of job early", is_over=True)
CONSUL = "'factotum' has this job id queued or running, by its entry in Consul"


def job(policy="Queue", **status):
    return make_job(spec={"factfile": {}, "duplicatePolicy": policy}, status=status)


def told(seen):
    patch = decide(seen, NOW).patch
    return patch["reason"], patch["message"]


@pytest.mark.parametrize(
    ("place", "reason", "message"),
    [
        pytest.param(Waits(), "WaitingForWorker", "all workers are busy", id="far back"),
        pytest.param(
            Waits(position=3),
            "WaitingForWorker",
            "all workers are busy; position 3 in the queue",
            id="one of the first",
        ),
        pytest.param(
            Waits(namespace_is_full=True, position=1),
            "WaitingForWorker",
            "all workers of namespace pipelines are busy; position 1 in the queue",
            id="its namespace is full",
        ),
        pytest.param(
            Waits(is_beyond=True),
            "QueueFull",
            "as many jobs wait as may (--max-jobs); this one follows them",
            id="beyond the queue",
        ),
        pytest.param(
            Waits(position=2, rival=AT_WORK),
            "WaitingForJobId",
            "job early has the same job id and has not ended",
            id="another of its job id is at work",
        ),
        pytest.param(
            Waits(position=2, rival=BEFORE),
            "WaitingForJobId",
            "job early has the same job id and waits before this one",
            id="another of its job id is before it",
        ),
        pytest.param(
            Waits(rival=ENDING),
            "WaitingForJobId",
            "the Pod of job early has the same job id and has not ended",
            id="another's Pod is ending",
        ),
    ],
)
def test_a_job_in_line_says_what_it_waits_for_and_stays_there(place, reason, message):
    decision = decide(observed(job(), place=place), NOW)

    assert told(observed(job(), place=place)) == (reason, message)
    assert decision.in_line
    assert decision.again_in is None
    assert decision.patch["jobId"] == "e" * 64


WAITING = {
    "state": "QUEUED",
    "outcome": "WAITING",
    "observedGeneration": 1,
    "reason": "WaitingForWorker",
    "message": "all workers are busy; position 9 in the queue",
}


@pytest.mark.parametrize(
    ("place", "seconds", "does"),
    [
        pytest.param(Waits(position=9), 99, {}, id="nothing changed"),
        pytest.param(Waits(position=8), 20, {"again": 40}, id="told a moment ago"),
        pytest.param(
            Waits(position=8), 60, {"patch": "QUEUED/WAITING WaitingForWorker"}, id="a minute ago"
        ),
        pytest.param(Waits(), 99, {}, id="too far back to be told"),
        pytest.param(Waits(is_beyond=True), 99, {}, id="nor that the queue is full now"),
        pytest.param(Waits(rival=AT_WORK), 20, {"again": 40}, id="another reason, a moment ago"),
        pytest.param(
            Waits(rival=AT_WORK), 60, {"patch": "QUEUED/WAITING WaitingForJobId"}, id="and later"
        ),
    ],
)
def test_what_a_waiting_job_was_told_changes_once_a_minute_and_only_for_the_first(
    place, seconds, does
):
    seen = observed(job(**WAITING), place=place, told_seconds=seconds)

    assert brief(decide(seen, NOW)) == does
    assert decide(seen, NOW).in_line


def test_another_reason_to_wait_is_told_at_once():
    other = WAITING | {"reason": "FactfileNotFound", "message": "there is none"}
    seen = observed(job(**other), place=Waits(), told_seconds=1)

    assert told(seen)[0] == "WaitingForWorker"


def test_a_job_that_wants_nothing_now_does_not_stay_in_line():
    later = {"state": "QUEUED", "nextLaunchTime": "2026-03-01T12:00:30Z", "launch": 2}
    seen = observed(job(**later), place=Waits(position=1))

    assert not decide(seen, NOW).in_line


# --- Reject and Allow -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "why"),
    [
        pytest.param(
            {"place": Waits(rival=AT_WORK)},
            "job early has the same job id and has not ended",
            id="at work",
        ),
        pytest.param(
            {"place": Waits(rival=BEFORE)},
            "job early has the same job id and waits before this one",
            id="before it",
        ),
        pytest.param({"elsewhere": "factotum"}, CONSUL, id="held by its Consul entry"),
    ],
)
def test_a_duplicate_that_is_not_to_wait_fails_and_names_the_other(facts, why):
    decision = decide(observed(job("Reject"), **facts), NOW)

    assert brief(decision) == {"patch": "DONE/FAILED Duplicate", "event": "Warning"}
    assert decision.patch["message"] == f"{why}, and duplicatePolicy is Reject"
    assert decision.patch["jobId"] == "e" * 64


def test_a_duplicate_with_a_pod_is_done_first_and_its_pod_deleted_then():
    pod = make_pod()
    seen = observed(job("Reject"), pod, place=Waits(rival=AT_WORK))

    decision = decide(seen, NOW)
    assert brief(decision) == {"patch": "DONE/FAILED Duplicate", "event": "Warning"}
    after = replace(seen, job=patched(seen.job, decision.patch))
    assert decide(after, NOW).delete == (pod,)


@pytest.mark.parametrize("place", [Waits(), Waits(position=1), Waits(rival=ENDING)])
def test_a_job_that_rejects_duplicates_waits_for_workers_and_for_what_is_done(place):
    assert told(observed(job("Reject"), place=place))[0].startswith("WaitingFor")


def test_a_job_whose_pod_stands_beside_anothers_says_that_it_waits():
    seen = observed(job(), make_pod(), place=Waits(rival=AT_WORK))

    decision = decide(seen, NOW)
    assert decision.patch["reason"] == "WaitingForJobId"
    assert decision.again_in == 5.0


def test_a_job_that_another_server_has_waits_and_says_how_that_ends():
    decision = decide(observed(job(), elsewhere="factotum", mirrored=False, place=None), NOW)

    assert (decision.patch["reason"], decision.create) == ("WaitingForJobId", False)
    assert decision.patch["message"] == (
        f"{CONSUL}: if that is no more, delete the key, or allow duplicates"
    )
    assert not decision.in_line


def test_a_job_that_may_run_beside_others_runs_beside_those_of_other_servers():
    seen = observed(job("Allow"), elsewhere="factotum", mirrored=False)

    assert decide(seen, NOW).create


def test_an_entry_is_looked_up_again_after_a_while():
    assert decide(observed(job(), mirrored=False, elsewhere=""), NOW).announce
