"""The decision table's first half: a job that nobody has claimed.

All pure. Each row is one way the facts can be, and everything that is done
about it; the tests below the table look at the texts. Left out on purpose:
combinations of two reasons to wait, of which the first in the code is told.
"""

from dataclasses import replace

import pytest

from factotum.controller.decide.launching import MAX_LAUNCHES
from factotum.controller.decide.table import decide
from factotum.controller.decide.unclaimed.starting import LAUNCH_BACKOFF_SECONDS
from factotum.controller.facts.observed import (
    Ask,
    HostUnknown,
    NoNode,
    OnNode,
    PodRefusal,
    Refused,
    SeveralNodes,
    Unreadable,
)
from factotum.controller.facts.pods import Terminated
from factotum.core.wire import termination
from factotum.kube.resource import format_time
from support.builders.jobs import (
    CLAIM_ID,
    NOW,
    after,
    brief,
    done_status,
    ended_pod,
    make_job,
    make_message,
    make_plan,
    make_pod,
    observed,
    patched,
)

NEW = make_job()
QUEUED = {"state": "QUEUED", "outcome": "WAITING", "observedGeneration": 1}
SECOND = make_job(status=QUEUED | {"attempt": 1, "launch": 2})
HELD_BACK = PodRefusal(permanent=False, reason="PodForbidden", message="the Pod was refused: no")
REJECTED = PodRefusal(permanent=True, reason="PodRejected", message="the Pod was refused: bad")
UNSCHEDULABLE = "Unschedulable: 0/3 nodes are available"
UNSTARTED = termination.unstarted(CLAIM_ID).decode()

ROWS = [
    pytest.param(
        observed(NEW, factfile=None, host=None),
        {"ask": {Ask.FACTFILE, Ask.HOST}},
        id="a new job asks for everything at once",
    ),
    pytest.param(
        observed(NEW, factfile=None), {"ask": {Ask.FACTFILE}}, id="an unread factfile is read"
    ),
    pytest.param(
        observed(NEW, host=None), {"ask": {Ask.HOST}}, id="an unresolved host is resolved"
    ),
    pytest.param(
        observed(NEW, place=None), {"join": True}, id="without a worker it gets in the queue"
    ),
    pytest.param(
        observed(NEW, mirrored=False), {"announce": True}, id="the mirror comes before the Pod"
    ),
    pytest.param(
        observed(NEW),
        {"create": True, "again": 5.0},
        id="a job that may start gets a Pod and no write",
    ),
    pytest.param(
        observed(make_job(status=QUEUED | {"reason": "WaitingForWorker"})),
        {"create": True, "again": 5.0},
        id="a queued job that may start gets a Pod and no write",
    ),
    pytest.param(
        observed(make_job(deletionTimestamp="2026-03-01T12:00:00Z")),
        {"patch": "DONE/FAILED Deleted", "event": "Warning"},
        id="a job being deleted, kept by somebody's finalizer, ends at once",
    ),
    pytest.param(
        observed(make_job(deletionTimestamp="2026-03-01T12:00:00Z"), make_pod()),
        {"patch": "DONE/FAILED Deleted", "event": "Warning"},
        id="a job being deleted ends though its Pod is there",
    ),
    pytest.param(
        observed(NEW, factfile=Unreadable(reason="FactfileNotFound", message="no ConfigMap")),
        {"patch": "QUEUED/WAITING FactfileNotFound", "event": "Warning", "again": 5.0},
        id="a factfile that is not there yet is waited for",
    ),
    pytest.param(
        observed(
            make_job(status=QUEUED | {"reason": "FactfileNotFound", "message": "no ConfigMap"}),
            factfile=Unreadable(reason="FactfileNotFound", message="no ConfigMap"),
        ),
        {"again": 5.0},
        id="what the status tells already is not told again",
    ),
    pytest.param(
        observed(NEW, factfile=Refused(reason="InvalidFactfile", message="bad")),
        {"patch": "DONE/FAILED InvalidFactfile", "event": "Warning"},
        id="an invalid factfile never gets a Pod",
    ),
    pytest.param(
        observed(NEW, make_pod(), factfile=Refused(reason="FactfileChanged", message="other")),
        {"patch": "DONE/FAILED FactfileChanged", "event": "Warning"},
        id="content that changed before the claim is not waited for",
    ),
    pytest.param(
        observed(NEW, factfile=Refused(reason="InvalidStart", message="bad"), place=None),
        {"patch": "DONE/FAILED InvalidStart", "event": "Warning"},
        id="a start task that does not exist never waits for a slot",
    ),
    pytest.param(
        observed(NEW, host=NoNode(reason="why")),
        {"patch": "DONE/SUCCEEDED HostConstraintNotMatched", "event": "Warning"},
        id="a host that is no Node makes the job a no-op",
    ),
    pytest.param(
        observed(
            NEW,
            host=NoNode(reason="why"),
            factfile=Refused(reason="InvalidFactfile", message="bad"),
        ),
        {"patch": "DONE/SUCCEEDED HostConstraintNotMatched", "event": "Warning"},
        id="as in the original the host is checked before the factfile is opened",
    ),
    pytest.param(
        observed(NEW, host=SeveralNodes(names=("a", "b"))),
        {"patch": "DONE/FAILED HostConstraintAmbiguous", "event": "Warning"},
        id="a host that means two Nodes is an error",
    ),
    pytest.param(
        observed(NEW, host=HostUnknown(message="no answer")),
        {"patch": "QUEUED/WAITING HostConstraintUnresolved", "event": "Warning", "again": 5.0},
        id="a resolver that does not answer is waited for",
    ),
    pytest.param(
        observed(NEW, host=OnNode(name="a", label="a", unready="it is cordoned")),
        {"patch": "QUEUED/WAITING NodeNotReady", "event": "Warning", "again": 5.0},
        id="a Node that is not ready is waited for",
    ),
    pytest.param(
        observed(NEW, host=OnNode(name="a", label="a")),
        {"create": True, "again": 5.0},
        id="a ready Node gets the Pod",
    ),
    pytest.param(
        observed(NEW, refusal=HELD_BACK),
        {"patch": "QUEUED/WAITING PodForbidden", "event": "Warning", "again": 5.0},
        id="a quota that is used up is waited for",
    ),
    pytest.param(
        observed(NEW, refusal=REJECTED),
        {"patch": "DONE/FAILED PodRejected", "event": "Warning"},
        id="a Pod that is refused for good ends the job",
    ),
    pytest.param(
        observed(make_job(status=QUEUED | {"nextLaunchTime": format_time(after(7))})),
        {"again": 7.0},
        id="a launch in back-off waits for its time",
    ),
    pytest.param(
        observed(make_job(status=QUEUED | {"nextLaunchTime": format_time(NOW)})),
        {"create": True, "again": 5.0},
        id="a launch whose time has come gets its Pod",
    ),
    pytest.param(
        observed(NEW, make_pod()), {"again": 5.0}, id="a Pod that is starting is left alone"
    ),
    pytest.param(
        observed(NEW, make_pod(waiting=UNSCHEDULABLE), pending_seconds=4.9),
        {"again": 5.0},
        id="a Pod that waits only shortly has nothing told of it",
    ),
    pytest.param(
        observed(NEW, make_pod(waiting=UNSCHEDULABLE), pending_seconds=5.0),
        {"patch": "QUEUED/WAITING Unschedulable", "event": "Warning", "again": 5.0},
        id="a Pod that does not start has its reason told",
    ),
    pytest.param(
        observed(NEW, make_pod(), pending_seconds=60.0),
        {"patch": "QUEUED/WAITING PodPending", "again": 5.0},
        id="a Pod that does not start and says no reason is told, as no trouble",
    ),
    pytest.param(
        observed(SECOND, make_pod(uid="old", launch=1)),
        {"delete": ["old"], "again": 5.0},
        id="a given up launch's Pod is deleted",
    ),
    pytest.param(
        observed(SECOND, make_pod(uid="old", launch=1), make_pod(uid="new", launch=2)),
        {"delete": ["old"], "again": 5.0},
        id="a given up launch's Pod is deleted beside the current one",
    ),
    pytest.param(
        observed(NEW, make_pod(uid="newer", launch=2), waited_seconds=1.0),
        {"again": 5.0},
        id="a Pod of a later launch than is known is left alone, it may have a claim",
    ),
    pytest.param(
        observed(NEW, make_pod(uid="newer", attempt=2), waited_seconds=1.0),
        {"again": 5.0},
        id="a Pod of a later attempt than is known is left alone, it may have a claim",
    ),
    pytest.param(
        observed(NEW, make_pod(uid="newer", launch=2)),
        {"patch": "QUEUED/WAITING PodPending", "again": 5.0},
        id="a Pod that poses as a later launch is told",
    ),
    pytest.param(
        observed(SECOND, make_pod(uid="old", launch=1, deleting=True)),
        {"create": True, "again": 5.0},
        id="a new launch does not wait until the old Pod is gone",
    ),
    pytest.param(
        observed(SECOND, ended_pod(uid="old", launch=1)),
        {"create": True, "again": 5.0},
        id="an ended Pod of an earlier launch does not matter",
    ),
    pytest.param(
        observed(NEW, ended_pod(exit_code=75, reason="Error")),
        {"patch": "QUEUED/WAITING Relaunching", "event": "Warning"},
        id="a Pod that ended unclaimed counts the next launch",
    ),
    pytest.param(
        observed(NEW, ended_pod(make_message())),
        {"patch": "QUEUED/WAITING Relaunching", "event": "Warning"},
        id="a verdict without a claim counts for nothing",
    ),
    pytest.param(
        observed(NEW, make_pod(deleting=True)),
        {"patch": "QUEUED/WAITING Relaunching", "event": "Warning"},
        id="an unclaimed Pod that somebody deletes is given up",
    ),
    pytest.param(
        observed(NEW, make_pod(phase="Failed", reason="Evicted")),
        {"patch": "QUEUED/WAITING Relaunching", "event": "Warning"},
        id="an unclaimed Pod that was evicted is given up",
    ),
    pytest.param(
        observed(NEW, make_pod(phase="Failed", reason="DeadlineExceeded")),
        {"patch": "DONE/FAILED DeadlineExceeded", "event": "Warning"},
        id="an unclaimed Pod that its deadline ended ends the job",
    ),
    pytest.param(
        observed(
            make_job(status=QUEUED | {"launch": MAX_LAUNCHES}),
            ended_pod(launch=MAX_LAUNCHES, exit_code=1, reason="Error"),
        ),
        {"patch": "DONE/FAILED LaunchFailed", "event": "Warning"},
        id="launches are bounded",
    ),
    pytest.param(
        observed(make_job(spec={"factfile": {}, "dryRun": True}), place=None),
        {"patch": "DONE/SUCCEEDED DryRun", "event": "Normal"},
        id="a dry run needs no Pod",
    ),
    pytest.param(
        observed(
            make_job(spec={"factfile": {}, "dryRun": True}),
            factfile=Refused(reason="InvalidFactfile", message="bad"),
        ),
        {"patch": "DONE/FAILED InvalidFactfile", "event": "Warning"},
        id="a dry run of an invalid factfile fails",
    ),
    pytest.param(
        observed(make_job(status=done_status()), make_pod()),
        {},
        id="a job that is done lets its runner end by itself",
    ),
    pytest.param(
        observed(make_job(status=done_status()), make_pod(uid="stray")),
        {"delete": ["stray"], "again": 5.0},
        id="a job that is done deletes what is not its runner",
    ),
    pytest.param(
        observed(
            make_job(status=done_status()),
            make_pod(uid="stray", deleting=True),
            ended_pod(uid="ended"),
        ),
        {},
        id="a job that is done leaves alone what has ended or is about to",
    ),
]


@pytest.mark.parametrize(("seen", "expected"), ROWS)
def test_every_row(seen, expected):
    assert brief(decide(seen, NOW)) == expected


@pytest.mark.parametrize(("seen", "expected"), ROWS)
def test_a_decision_that_was_carried_out_is_not_made_again(seen, expected):
    first = decide(seen, NOW)
    if first.patch is None:
        return

    again = decide(replace(seen, job=patched(seen.job, first.patch)), NOW)

    assert again.patch is None or again.patch["state"] != first.patch["state"]
    assert again.notice is None


def test_a_launch_that_is_given_up_fences_its_claim_and_waits_longer_each_time():
    delays = []
    for launch in range(1, MAX_LAUNCHES):
        job = make_job(status=QUEUED | {"launch": launch})

        decision = decide(observed(job, ended_pod(launch=launch, exit_code=75)), NOW)

        assert decision.patch["launch"] == launch + 1
        assert decision.patch["attempt"] == 1
        assert decision.patch["claim"] is None
        assert not decision.create
        delays.append(decision.patch["nextLaunchTime"])
    assert delays == [format_time(after(seconds)) for seconds in LAUNCH_BACKOFF_SECONDS]


def test_the_no_op_speaks_the_originals_words():
    job = make_job(spec={"factfile": {}, "constraints": {"host": "db-7"}})

    decision = decide(observed(job, host=NoNode(reason="nobody knows it")), NOW)

    assert decision.patch["message"] == (
        'Warn: the specifed host constraint "db-7" did not match, no tasks have been executed.'
        " Reason: nobody knows it"
    )
    assert decision.notice.message == decision.patch["message"]
    assert decision.patch["jobId"] == make_plan().job_id


def test_an_ambiguous_host_names_the_nodes():
    job = make_job(spec={"factfile": {}, "constraints": {"host": "10.0.0.1"}})

    decision = decide(observed(job, host=SeveralNodes(names=("a", "b"))), NOW)

    assert decision.patch["message"] == (
        'the host constraint "10.0.0.1" means several Nodes (a, b): name one of them'
    )


def test_an_invalid_factfile_fails_its_job_at_once_and_keeps_the_job_id():
    refused = Refused(reason="InvalidStart", message="no such task", job_id="i" * 64)

    decision = decide(observed(NEW, factfile=refused), NOW)

    assert [c["type"] for c in decision.patch["conditions"]] == ["Failed", "Stalled"]
    assert decision.patch["jobId"] == "i" * 64
    assert decision.patch["completionTime"] == format_time(NOW)


@pytest.mark.parametrize(
    ("pod", "words"),
    [
        pytest.param(ended_pod(exit_code=75, reason="Error"), "Error, exit code 75", id="ended"),
        pytest.param(make_pod(deleting=True), "it was deleted", id="deleted"),
        pytest.param(
            make_pod(phase="Failed", reason="Evicted", message="out of disk"),
            "Evicted out of disk",
            id="evicted",
        ),
        pytest.param(
            make_pod(phase="Failed", terminated=Terminated(exit_code=1, reason="", message="")),
            "ended, exit code 1",
            id="ended without a reason",
        ),
    ],
)
def test_a_relaunch_says_what_became_of_the_pod(pod, words):
    decision = decide(observed(NEW, pod), NOW)

    assert decision.patch["message"].endswith(f"ended before a task was started: {words}")
