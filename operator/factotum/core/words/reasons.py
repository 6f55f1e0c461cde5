"""Every reason that a job's status can give, in one table.

A reason says why a job is in its state. Beside these a waiting job may show
what the kubelet or the scheduler says of its Pod (``CreateContainerConfigError``,
``Unschedulable``, ...), and a lost one what ended its Pod (``Preempting``, ...).
"""

from __future__ import annotations

from factotum.core.words.states import JobState, RunState

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Reason:
    """The words, CamelCase as Kubernetes has them."""

    WAITING_FOR_WORKER = "WaitingForWorker"
    WAITING_FOR_JOB_ID = "WaitingForJobId"
    QUEUE_FULL = "QueueFull"
    FACTFILE_NOT_FOUND = "FactfileNotFound"
    FACTFILE_UNREADABLE = "FactfileUnreadable"
    HOST_CONSTRAINT_UNRESOLVED = "HostConstraintUnresolved"
    NODE_NOT_READY = "NodeNotReady"
    POD_FORBIDDEN = "PodForbidden"
    POD_NOT_CREATED = "PodNotCreated"
    POD_PENDING = "PodPending"
    IMAGE_PULL_BACK_OFF = "ImagePullBackOff"
    RUNNER_NOT_HEARD = "RunnerNotHeard"
    RELAUNCHING = "Relaunching"
    RETRYING = "Retrying"
    RESUMED = "Resumed"
    SUSPENDED = "Suspended"

    CLAIMED = "Claimed"
    POD_GONE = "PodGone"
    SUSPENDING = "Suspending"
    CANCELLING = "Cancelling"

    SUCCEEDED = "Succeeded"
    EARLY_FINISH = "EarlyFinish"
    DRY_RUN = "DryRun"
    HOST_CONSTRAINT_NOT_MATCHED = "HostConstraintNotMatched"

    TASK_FAILED = "TaskFailed"
    NOT_RUN = "NotRun"
    INTERRUPTED = "Interrupted"
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    LAUNCH_FAILED = "LaunchFailed"
    LOST = "Lost"
    OOM_KILLED = "OOMKilled"
    EVICTED = "Evicted"
    CANCELLED = "Cancelled"
    DELETED = "Deleted"
    INVALID_FACTFILE = "InvalidFactfile"
    INVALID_START = "InvalidStart"
    FACTFILE_CHANGED = "FactfileChanged"
    HOST_CONSTRAINT_AMBIGUOUS = "HostConstraintAmbiguous"
    DUPLICATE = "Duplicate"
    INVALID_POD_TEMPLATE = "InvalidPodTemplate"
    POD_REJECTED = "PodRejected"


class Row:
    """What a reason means.

    Attributes:
        state: of the job.
        outcome: of the job.
        ran: whether the job was ever Factotum's business: False for what the
            original server would have refused at the door, or only simulated.
        notice: type of the Event that tells of it; empty: none.
        retried: whether ``retry`` counts for a job that ends so: the end of a
            run that failed, which another one may not share.
    """

    __slots__ = ("notice", "outcome", "ran", "retried", "state")

    def __init__(
        self, state: str, outcome: str, notice: str = "", *, ran: bool = True, retried: bool = False
    ) -> None:
        self.state = state
        self.outcome = outcome
        self.notice = notice
        self.ran = ran
        self.retried = retried


_WAITS = Row(JobState.QUEUED, RunState.WAITING)
_TROUBLE = Row(JobState.QUEUED, RunState.WAITING, "Warning")
"""Waits for something that a person may have to see to."""
_WORKS = Row(JobState.WORKING, RunState.RUNNING)
_WELL = Row(JobState.DONE, RunState.SUCCEEDED, "Normal")
_FAILED = Row(JobState.DONE, RunState.FAILED, "Warning")
_FAILED_RUN = Row(JobState.DONE, RunState.FAILED, "Warning", retried=True)
_REFUSED = Row(JobState.DONE, RunState.FAILED, "Warning", ran=False)

TABLE: Mapping[str, Row] = {
    Reason.WAITING_FOR_WORKER: _WAITS,
    Reason.WAITING_FOR_JOB_ID: _WAITS,
    Reason.QUEUE_FULL: _WAITS,
    Reason.FACTFILE_NOT_FOUND: _TROUBLE,
    Reason.FACTFILE_UNREADABLE: _TROUBLE,
    Reason.HOST_CONSTRAINT_UNRESOLVED: _TROUBLE,
    Reason.NODE_NOT_READY: _TROUBLE,
    Reason.POD_FORBIDDEN: _TROUBLE,
    Reason.POD_NOT_CREATED: _TROUBLE,
    # Starting takes its time now and then: nobody must see to that.
    Reason.POD_PENDING: _WAITS,
    Reason.IMAGE_PULL_BACK_OFF: _TROUBLE,
    Reason.RUNNER_NOT_HEARD: _TROUBLE,
    Reason.RELAUNCHING: _TROUBLE,
    # An attempt has failed: that this is not the end is no reason to keep it quiet.
    Reason.RETRYING: _TROUBLE,
    Reason.RESUMED: Row(JobState.QUEUED, RunState.WAITING, "Normal"),
    Reason.SUSPENDED: Row(JobState.QUEUED, RunState.WAITING, "Normal"),
    Reason.CLAIMED: _WORKS,
    Reason.POD_GONE: _WORKS,
    Reason.SUSPENDING: _WORKS,
    Reason.CANCELLING: _WORKS,
    Reason.SUCCEEDED: _WELL,
    Reason.EARLY_FINISH: _WELL,
    Reason.DRY_RUN: Row(JobState.DONE, RunState.SUCCEEDED, "Normal", ran=False),
    # The original ends well, having done nothing: somebody should look at that.
    Reason.HOST_CONSTRAINT_NOT_MATCHED: Row(JobState.DONE, RunState.SUCCEEDED, "Warning"),
    Reason.TASK_FAILED: _FAILED_RUN,
    Reason.NOT_RUN: _FAILED,
    Reason.INTERRUPTED: _FAILED_RUN,
    Reason.DEADLINE_EXCEEDED: _FAILED_RUN,
    Reason.LAUNCH_FAILED: _FAILED,
    Reason.LOST: _FAILED_RUN,
    Reason.OOM_KILLED: _FAILED_RUN,
    Reason.EVICTED: _FAILED_RUN,
    # Somebody asked for it.
    Reason.CANCELLED: Row(JobState.DONE, RunState.FAILED, "Normal"),
    Reason.DELETED: _FAILED,
    Reason.INVALID_FACTFILE: _REFUSED,
    Reason.INVALID_START: _REFUSED,
    Reason.FACTFILE_CHANGED: _REFUSED,
    Reason.HOST_CONSTRAINT_AMBIGUOUS: _REFUSED,
    Reason.DUPLICATE: _REFUSED,
    Reason.INVALID_POD_TEMPLATE: _REFUSED,
    Reason.POD_REJECTED: _REFUSED,
}
"""A reason that is not here is Kubernetes' own: of a Pod that waits, or was lost."""


def ran(reason: str) -> bool:
    """Whether a job that ended for this reason was Factotum's business at all."""
    row = TABLE.get(reason)
    return row is None or row.ran


def is_retried(reason: str) -> bool:
    """Whether ``retry`` counts for an end: Kubernetes' own words tell of a run that was lost."""
    row = TABLE.get(reason)
    return row is None or row.retried


def notice_of(reason: str, outcome: str) -> str:
    """Return the type of the Event that tells what became of a job, or its trouble; empty: none."""
    row = TABLE.get(reason)
    if row is not None:
        return row.notice
    return "Normal" if outcome == RunState.SUCCEEDED else "Warning"
