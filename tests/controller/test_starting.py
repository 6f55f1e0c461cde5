"""The decision table's rows of a Pod that is made or there, and not claimed yet. Pure."""

import pytest

from factotum.controller.decide.launching import MAX_LAUNCHES
from factotum.controller.decide.table import decide
from factotum.controller.decide.unclaimed.starting import is_stuck
from factotum.controller.facts.observed import HostUnknown, PodRefusal, Unreadable, Waits
from support.builders.jobs import (
    NOW,
    brief,
    ended_pod,
    make_job,
    make_pod,
    observed,
    patched,
)

NEW = make_job()
QUEUED = {"state": "QUEUED", "outcome": "WAITING", "observedGeneration": 1}
BOUNDED = make_job(spec={"factfile": {}, "activeDeadlineSeconds": 60})
TRIED_AGAIN = make_job(spec={"factfile": {}, "activeDeadlineSeconds": 60, "retry": {"limit": 1}})
PENDING = make_pod(phase="Pending")
PULLING = make_pod(phase="Pending", waiting="ErrImagePull: no such image")
GATED = make_pod(phase="Pending", waiting="SchedulingGated: not yet", node_name="")
NOT_MADE = PodRefusal(
    permanent=False, reason="PodNotCreated", message="the webhook is down", is_answer=False
)
UNREADABLE = Unreadable(reason="FactfileUnreadable", message="no right to")
UNRESOLVED = HostUnknown(message="no answer within 5 s")
TOLD = QUEUED | {"reason": "HostConstraintUnresolved", "message": "temporary failure"}
SLOW = {"pending_seconds": 30.0, "pending_limit": 900.0}
TOO_LONG = {"pending_seconds": 900.0, "pending_limit": 900.0}
GIVEN_UP = {"patch": "QUEUED/WAITING Relaunching", "event": "Warning"}

UNHEARD = patched(
    NEW, decide(observed(NEW, make_pod(), running_seconds=10.0, **SLOW), NOW).patch or {}
)

ROWS = [
    pytest.param(
        observed(NEW, creating_seconds=2.0),
        {"again": 3.0},
        id="a request for the Pod that is under way is waited for",
    ),
    pytest.param(
        observed(NEW, creating_seconds=5.0),
        {"patch": "QUEUED/WAITING PodNotCreated", "event": "Warning", "again": 5.0},
        id="a request for the Pod that is not answered is told",
    ),
    pytest.param(
        observed(NEW, PULLING, creating_seconds=6.0, pending_seconds=1.0),
        {"again": 5.0},
        id="a Pod that is seen before the answer counts, not the request",
    ),
    pytest.param(
        observed(NEW, refusal=NOT_MADE, waited_seconds=1.0),
        {"again": 1.0},
        id="a Pod that could not be made once is nothing to tell",
    ),
    pytest.param(
        observed(NEW, refusal=NOT_MADE, waited_seconds=5.0),
        {"patch": "QUEUED/WAITING PodNotCreated", "event": "Warning", "again": 5.0},
        id="a Pod that cannot be made for a while is told",
    ),
    pytest.param(
        observed(NEW, factfile=UNREADABLE, waited_seconds=4.9),
        {"again": pytest.approx(0.1)},
        id="a ConfigMap that could not be read once is nothing to tell",
    ),
    pytest.param(
        observed(NEW, factfile=UNREADABLE, waited_seconds=5.0),
        {"patch": "QUEUED/WAITING FactfileUnreadable", "event": "Warning", "again": 5.0},
        id="a ConfigMap that cannot be read is told",
    ),
    pytest.param(
        observed(make_job(status=TOLD), host=UNRESOLVED, told_seconds=59.0),
        {"again": pytest.approx(1.0)},
        id="a resolver that fails now this way and now that is told of once a minute",
    ),
    pytest.param(
        observed(make_job(status=TOLD), host=UNRESOLVED, told_seconds=60.0),
        {"patch": "QUEUED/WAITING HostConstraintUnresolved", "again": 5.0},
        id="and then in its newest words",
    ),
    pytest.param(
        observed(NEW, PULLING, **SLOW),
        {"patch": "QUEUED/WAITING ImagePullBackOff", "event": "Warning", "again": 5.0},
        id="a Pod whose image cannot be pulled is told, by one of its two names",
    ),
    pytest.param(
        observed(NEW, GATED, **SLOW),
        {"patch": "QUEUED/WAITING SchedulingGated", "event": "Warning", "again": 5.0},
        id="a Pod that a gate holds is told",
    ),
    pytest.param(observed(NEW, PULLING, **TOO_LONG), GIVEN_UP, id="it is given up in the end"),
    pytest.param(observed(NEW, GATED, **TOO_LONG), GIVEN_UP, id="a gated one, too"),
    pytest.param(
        observed(NEW, PENDING, **TOO_LONG), GIVEN_UP, id="and one of which nobody says why"
    ),
    pytest.param(
        observed(NEW, PULLING, pending_seconds=10.0**6),
        {"patch": "QUEUED/WAITING ImagePullBackOff", "event": "Warning", "again": 5.0},
        id="without a limit it is never given up",
    ),
    pytest.param(
        observed(NEW, make_pod(), running_seconds=2.0, **TOO_LONG),
        {"patch": "QUEUED/WAITING PodPending", "again": 5.0},
        id="a Pod that runs by now is not given up",
    ),
    pytest.param(
        observed(
            make_job(status=QUEUED | {"launch": 50, "launchesGivenUp": 49}),
            make_pod(phase="Pending", launch=50),
            **TOO_LONG,
        ),
        GIVEN_UP,
        id="launches that never started end no job, however many",
    ),
    pytest.param(
        observed(
            make_job(status=QUEUED | {"launch": MAX_LAUNCHES + 2, "launchesGivenUp": 3}),
            ended_pod(launch=MAX_LAUNCHES + 2, exit_code=1),
        ),
        GIVEN_UP,
        id="launches that were given up do not count among those that ended",
    ),
    pytest.param(
        observed(
            make_job(status=QUEUED | {"launch": MAX_LAUNCHES + 3, "launchesGivenUp": 3}),
            ended_pod(launch=MAX_LAUNCHES + 3, exit_code=1),
        ),
        {"patch": "DONE/FAILED LaunchFailed", "event": "Warning"},
        id="those that ended are bounded beside them",
    ),
    pytest.param(
        observed(
            make_job(status=QUEUED | {"launch": MAX_LAUNCHES, "launchesGivenUp": 99}),
            ended_pod(launch=MAX_LAUNCHES, exit_code=1),
        ),
        GIVEN_UP,
        id="no more can have been given up than there were",
    ),
    pytest.param(
        observed(BOUNDED, PULLING, attempt_seconds=60.0, **SLOW),
        {"patch": "DONE/FAILED DeadlineExceeded", "event": "Warning"},
        id="its deadline ends a job whose Pod does not start",
    ),
    pytest.param(
        observed(TRIED_AGAIN, PULLING, attempt_seconds=60.0, **SLOW),
        {"patch": "QUEUED/WAITING Retrying", "event": "Warning"},
        id="or only the attempt, if there is another one",
    ),
    pytest.param(
        observed(BOUNDED, GATED, attempt_seconds=59.0, **SLOW),
        {"patch": "QUEUED/WAITING SchedulingGated", "event": "Warning", "again": 5.0},
        id="and not before it is over",
    ),
    pytest.param(
        observed(BOUNDED, make_pod(), attempt_seconds=99.0, running_seconds=1.0, **SLOW),
        {"patch": "QUEUED/WAITING PodPending", "again": 5.0},
        id="of a Pod that runs its kubelet minds the deadline",
    ),
    pytest.param(
        observed(NEW, PENDING, **SLOW),
        {"patch": "QUEUED/WAITING PodPending", "again": 5.0},
        id="a Pod that is being started is told, as no trouble",
    ),
    pytest.param(
        observed(NEW, PENDING, may_tell=False, **SLOW),
        {"again": 5.0},
        id="unless so many are that telling all would make it worse",
    ),
    pytest.param(
        observed(NEW, PULLING, may_tell=False, **SLOW),
        {"patch": "QUEUED/WAITING ImagePullBackOff", "event": "Warning", "again": 5.0},
        id="trouble is told all the same",
    ),
    pytest.param(
        observed(NEW, make_pod(), running_seconds=10.0, **SLOW),
        {"patch": "QUEUED/WAITING RunnerNotHeard", "event": "Warning", "again": 5.0},
        id="a runner that does not ask is told",
    ),
    pytest.param(
        observed(UNHEARD, make_pod(), running_seconds=6.0, **SLOW),
        {"again": 5.0},
        id="an operator that was restarted does not doubt what it has told of a runner",
    ),
    pytest.param(
        observed(UNHEARD, PULLING, **SLOW),
        {"patch": "QUEUED/WAITING ImagePullBackOff", "event": "Warning", "again": 5.0},
        id="it does if the Pod does not run any more",
    ),
    pytest.param(
        observed(NEW, make_pod(), running_seconds=10.0, heard=True, **SLOW),
        {"again": 5.0},
        id="one that has asked is about to be answered",
    ),
    pytest.param(
        observed(NEW, make_pod(), running_seconds=99.0, heard=True, place=Waits(), **SLOW),
        {"patch": "QUEUED/WAITING WaitingForWorker", "again": 5.0},
        id="a runner that has asked and gets no worker is told",
    ),
]


@pytest.mark.parametrize(("seen", "expected"), ROWS)
def test_every_row(seen, expected):
    assert brief(decide(seen, NOW)) == expected


def test_a_launch_that_is_given_up_is_fenced_before_its_pod_is_deleted():
    decision = decide(observed(NEW, PULLING, **TOO_LONG), NOW)

    assert decision.patch["launch"] == 2
    assert decision.patch["launchesGivenUp"] == 1
    assert decision.patch["claim"] is None
    assert "did not start within 900 s" in decision.patch["message"]
    assert "no such image" in decision.patch["message"]
    assert decision.delete == ()
    assert not decision.create


def test_the_words_of_a_pod_that_is_being_started_say_how_far_it_is():
    def said(pod, **more):
        return decide(observed(NEW, pod, **SLOW, **more), NOW).patch["message"]

    assert "is not scheduled yet" in said(make_pod(phase="Pending", node_name=""))
    assert "is being started on Node node-a" in said(PENDING)
    assert "runs and has not asked" in said(make_pod(), running_seconds=5.0)


def test_a_pod_that_waits_for_a_worker_says_which_ones_are_busy():
    def said(place):
        facts = {"running_seconds": 99.0, "heard": True, "place": place} | SLOW
        return decide(observed(NEW, make_pod(), **facts), NOW).patch["message"]

    assert said(Waits()).endswith(" is ready; all workers are busy")
    full = said(Waits(namespace_is_full=True))
    assert full.endswith(" is ready; all workers of namespace pipelines are busy")


@pytest.mark.parametrize(
    ("pod", "facts", "is_one"),
    [
        pytest.param(PULLING, (4.9, 0.0, False), False, id="a reason is given for a moment"),
        pytest.param(PULLING, (5.0, 0.0, False), True, id="a reason is given"),
        pytest.param(GATED, (5.0, 0.0, False), True, id="a gate"),
        pytest.param(PENDING, (59.0, 0.0, False), False, id="it takes long"),
        pytest.param(PENDING, (60.0, 0.0, False), True, id="it takes too long"),
        pytest.param(make_pod(), (99.0, 9.9, False), False, id="it has only begun to run"),
        pytest.param(make_pod(), (99.0, 10.0, False), True, id="it is not heard"),
        pytest.param(make_pod(), (99.0, 99.0, True), False, id="it is heard"),
    ],
)
def test_whoever_does_not_get_to_its_claim_gives_the_worker_back(pod, facts, is_one):
    pending, running, heard = facts

    assert is_stuck(pod, pending=pending, running=running, heard=heard) is is_one


def test_another_attempt_counts_its_own_launches():
    job = make_job(
        spec=TRIED_AGAIN.spec, status=QUEUED | {"attempt": 1, "launch": 3, "launchesGivenUp": 2}
    )
    late = make_pod(phase="Pending", launch=3)
    patch = decide(observed(job, late, attempt_seconds=60.0, **SLOW), NOW).patch

    assert (patch["attempt"], patch["launch"], patch["launchesGivenUp"]) == (2, 1, None)
