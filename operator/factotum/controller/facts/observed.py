"""What the controller knows of one job at one moment, as values.

``decide`` decides by an ``Observed`` alone. A fact that is not known is
None there, never a guess, and the decision then asks for it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from factotum.controller.facts.pods import PodView
from factotum.core.wire.reports import Report
from factotum.kube.resource import FactotumJob


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A factfile that was read and accepted: what a Pod will be given.

    Attributes:
        text: the factfile as the runner gets it.
        digest: SHA-256 of it, hex: ``status.factfileHash``.
        task_names: rendered, in level order, of the tasks that will run.
    """

    text: str
    digest: str
    job_id: str
    task_names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A factfile that cannot be had now, and may be later."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A factfile, or what goes with it, that will never run."""

    reason: str
    message: str
    job_id: str = ""


FactfileFact = Plan | Unreadable | Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyNode:
    """No constraint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OnNode:
    """The one Node the constraint means.

    Attributes:
        label: value of its ``kubernetes.io/hostname`` label if that label
            names it alone, else None: then it is chosen by name.
        unready: why nothing can be started there now; empty if it can.
    """

    name: str
    label: str | None
    unready: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NoNode:
    """No Node fits: the job is a no-op, for the original's reason."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SeveralNodes:
    """More than one Node fits."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostUnknown:
    """The name could not be looked up; it may be later."""

    message: str


HostFact = AnyNode | OnNode | NoNode | SeveralNodes | HostUnknown


@dataclass(frozen=True, slots=True, kw_only=True)
class PodRefusal:
    """How the API server refused to create the Pod.

    Attributes:
        permanent: it can never pass.
        is_answer: it was surely not made; False: nobody knows.
    """

    permanent: bool
    reason: str
    message: str
    is_answer: bool = True


class Ask(StrEnum):
    """A question that a decision needs answered first. To answer it changes nothing."""

    FACTFILE = "read the factfile"
    HOST = "resolve the host constraint"
    RESULTS = "read the whole status of a job that is done"
    CLAIMED_POD = "look for the claim's Pod, which no watch shows"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The job has a worker, and its job id unless it may run beside others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rival:
    """Who has the job's id, or is before it to have it.

    Attributes:
        who: what it is called, for people.
        is_over: its job is done or gone, and only its Pod has not ended.
        has_id: it has the job id; else it waits, and is before this one.
    """

    who: str
    is_over: bool = False
    has_id: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Waits:
    """The job is in the queue, for a worker or for its job id.

    Attributes:
        position: from 1, if it is one of those that are told.
        rival: whom it waits for because of its job id.
        namespace_is_full: its namespace has as many workers as it may.
        is_beyond: more wait before it than should.
    """

    position: int | None = None
    rival: Rival | None = None
    namespace_is_full: bool = False
    is_beyond: bool = False


Place = Held | Waits


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Every fact about one job.

    Attributes:
        pods: those that are surely its own, and its claim's Pod whatever that
            one's labels say by now.
        unfit: what its ``podTemplate`` may not ask for, for a person; empty: nothing.
        place: its place in the queue for workers; None: it never asked.
        absent: UIDs of Pods that a live read, sent after this version of the
            job was read, found gone.
        gone_seconds: how long the claim's Pod has been known to be gone.
        waited_seconds: how long ago the job was first looked at.
        creating_seconds: how long the request that makes the Pod is under way; None: none is.
        pending_seconds: how long the unclaimed Pod has been known.
        attempt_seconds: how long the attempt has had a Pod, this one or another.
        pending_limit: how long it may take to start, in seconds.
        running_seconds: how long it has been known to run.
        heard: its runner has asked for the attempt.
        told_seconds: how long ago the status was last given a reason to wait.
        told_reasons: every reason that it was given so far.
        may_tell: there is room for a status that tells of no trouble.
        mirrored: the Consul entry was taken, or need not be.
        elsewhere: who else has the job queued or running by its Consul entry,
            until it is to be looked up again; empty: nobody that is known.
        final_seconds: how long the report has been known, if it is a final one.
        progress_due: enough time has passed since the last progress patch.
        results: the whole status of this version, of a job that is done.
        name_taken: the name of this launch's Pod belongs to an object that is not ours.
        is_surplus: there are newer finished jobs, as many as are to be kept.
        has_surplus_pods: the same of those whose Pods are to be kept.
    """

    job: FactotumJob
    pods: tuple[PodView, ...] = ()
    factfile: FactfileFact | None = None
    host: HostFact | None = None
    unfit: str = ""
    place: Place | None = None
    mirrored: bool = False
    elsewhere: str = ""
    absent: frozenset[str] = field(default_factory=frozenset)
    gone_seconds: float = 0.0
    waited_seconds: float = math.inf
    creating_seconds: float | None = None
    pending_seconds: float = 0.0
    attempt_seconds: float = 0.0
    pending_limit: float = math.inf
    running_seconds: float = 0.0
    heard: bool = False
    told_seconds: float = math.inf
    told_reasons: frozenset[str] = field(default_factory=frozenset)
    may_tell: bool = True
    report: Report | None = None
    final_seconds: float = 0.0
    progress_due: bool = True
    refusal: PodRefusal | None = None
    results: Mapping[str, Any] | None = None
    name_taken: bool = False
    is_surplus: bool = False
    has_surplus_pods: bool = False
