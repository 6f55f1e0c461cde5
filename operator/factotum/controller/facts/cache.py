"""The newest known version of every job, Pod and Node, and who is told of changes.

Filled by watches, lists, live reads and the answers to our own writes alike.
Kept by resource version, so that an old event never hides a newer one, and
trimmed to what is needed. Absence here proves nothing; whoever must know asks.
"""

import logging
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from factotum.controller.facts.nodes import NodeView
from factotum.controller.facts.pods import PodView
from factotum.core.words.states import JobState
from factotum.kube import names
from factotum.kube.resource import FactotumJob, JobUid

logger = logging.getLogger(__name__)

_KEPT_OF_METADATA: Final = (
    "namespace",
    "name",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
)
_KEPT_ANNOTATIONS: Final = (names.ANNOTATION_RESUME, names.ANNOTATION_SUBMITTED_NAME)
_KEPT_OF_DONE: Final = (
    "state",
    "outcome",
    "reason",
    "jobId",
    "completionTime",
    "attempt",
    "launch",
    "claim",
    "sequence",
    "observedGeneration",
    "resumeSeen",
)
_MOST_GONE: Final = 1024


class Subscriber(Protocol):
    """Is told of every put and drop that changed something, at once and in order."""

    def job_changed(self, job: FactotumJob, *, is_gone: bool) -> None:
        """Hear of a job's newest version, or that it is no more."""

    def pod_changed(self, pod: PodView) -> None:
        """Hear that a Pod of that job changed, came or went."""


class Cache:
    """Jobs, their Pods, and the Nodes."""

    def __init__(self) -> None:
        self.jobs: dict[JobUid, FactotumJob] = {}
        self.nodes: dict[str, NodeView] = {}
        self._pods: dict[str, PodView] = {}
        self._by_job: defaultdict[JobUid, dict[str, PodView]] = defaultdict(dict)
        self._last_words: defaultdict[JobUid, dict[str, PodView]] = defaultdict(dict)
        self._made: set[str] = set()
        self._gone: OrderedDict[str, int] = OrderedDict()
        """As of which version Pods were dropped, of the last ones: an answer may come late."""
        self._subscribers: list[Subscriber] = []

    def subscribe(self, subscriber: Subscriber) -> None:
        """Have somebody told of every change from now on."""
        self._subscribers.append(subscriber)

    def recount(self, subscriber: Subscriber) -> None:
        """Tell somebody of everything that is known, as if it came now."""
        for job in list(self.jobs.values()):
            subscriber.job_changed(job, is_gone=False)
        for pod in self.pods():
            subscriber.pod_changed(pod)

    # --- jobs -------------------------------------------------------------------------

    def put_job(self, raw: Mapping[str, Any]) -> FactotumJob:
        """Take in a version of a job and return the newest known one."""
        metadata = raw["metadata"]
        known = self.jobs.get(metadata["uid"])
        if known is not None and known.version >= int(metadata["resourceVersion"]):
            return known
        job = FactotumJob.from_raw(_trimmed(raw))
        self.jobs[job.uid] = job
        if job.is_done:
            self._last_words.pop(job.uid, None)
        self._tell(lambda subscriber: subscriber.job_changed(job, is_gone=False))
        return job

    def drop_job(self, uid: JobUid) -> None:
        """Forget a job that is gone."""
        job = self.jobs.pop(uid, None)
        self._last_words.pop(uid, None)
        if job is not None:
            self._tell(lambda subscriber: subscriber.job_changed(job, is_gone=True))

    # --- Pods -------------------------------------------------------------------------

    def put_pod(self, raw: Mapping[str, Any]) -> PodView:
        """Take in a version of a Pod and return the newest known one.

        A Pod that says it belongs to another job than before, or to none, is
        no longer its job's.
        """
        pod = PodView.from_raw(raw)
        known = self._pods.get(pod.uid)
        if known is not None and known.version >= pod.version:
            return known
        if self._gone.get(pod.uid, -1) >= pod.version:
            return pod
        if known is not None and known.job_uid != pod.job_uid:
            self._remove(known)
            self._keep_last_words(known.job_uid, pod)
            self._tell_of_pod(known)
        if pod.job_uid:
            self._pods[pod.uid] = pod
            self._by_job[pod.job_uid][pod.uid] = pod
            self._tell_of_pod(pod)
        return pod

    def made_pod(self, raw: Mapping[str, Any]) -> PodView:
        """Take in a Pod as the answer to our own create request shows it."""
        pod = self.put_pod(raw)
        if pod.uid in self._pods:
            self._made.add(pod.uid)
        return pod

    def own_pod(self, uid: str) -> PodView | None:
        """Return a Pod of which our own create request told, as it is known now."""
        return self._pods.get(uid) if uid in self._made else None

    def drop_pod(self, pod_uid: str) -> None:
        """Forget a Pod that is gone; but not how it ended, which may not have been read yet."""
        pod = self._pods.get(pod_uid)
        if pod is None:
            return
        self._remove(pod)
        self._gone[pod_uid] = pod.version
        while len(self._gone) > _MOST_GONE:
            self._gone.popitem(last=False)
        self._keep_last_words(pod.job_uid, pod)
        self._tell_of_pod(pod)

    def _keep_last_words(self, uid: JobUid, pod: PodView) -> None:
        """Keep how a job's Pod ended that is shown by no watch any more.

        Of one whose Node is gone nobody but Kubernetes itself says so, and removes it at once.
        """
        job = self.jobs.get(uid)
        if pod.ended and job is not None and not job.is_done:
            self._last_words[uid][pod.uid] = pod

    def _remove(self, pod: PodView) -> None:
        self._pods.pop(pod.uid, None)
        self._made.discard(pod.uid)
        siblings = self._by_job[pod.job_uid]
        siblings.pop(pod.uid, None)
        if not siblings:
            del self._by_job[pod.job_uid]

    def _tell_of_pod(self, pod: PodView) -> None:
        self._tell(lambda subscriber: subscriber.pod_changed(pod))

    def _tell(self, say: Callable[[Subscriber], None]) -> None:
        for subscriber in self._subscribers:
            try:
                say(subscriber)
            except Exception:
                # A border: whoever stumbles over one object keeps nobody else from hearing of it.
                logger.exception("%s missed a change", type(subscriber).__name__)

    def pods_of(self, job: FactotumJob) -> tuple[PodView, ...]:
        """Return a job's own Pods, and how those ended that are gone.

        Its claim's Pod is among them by its UID, whatever somebody did to labels
        or owners later: that takes no verdict away. None of another namespace is,
        whose UID somebody wrote into the status.
        """
        known = (
            *self._by_job.get(job.uid, {}).values(),
            *self._last_words.get(job.uid, {}).values(),
        )
        claimed = job.claim.pod_uid if job.claim is not None else ""
        held = self._pods.get(claimed)
        if held is not None and held not in known:
            known = (*known, held)
        return tuple(
            pod
            for pod in known
            if pod.namespace == job.namespace and (pod.uid == claimed or pod.belongs_to(job))
        )

    def pods_labelled(self, uid: JobUid) -> tuple[PodView, ...]:
        """Return the Pods that say they belong to a job, be it known or gone, whoever owns them."""
        return tuple(self._by_job.get(uid, {}).values())

    def pod(self, uid: str) -> PodView | None:
        """Return one Pod by its UID."""
        return self._pods.get(uid)

    def pods(self) -> list[PodView]:
        """Return every known Pod, whoever made it."""
        return list(self._pods.values())

    # --- Nodes ------------------------------------------------------------------------

    def put_node(self, raw: Mapping[str, Any]) -> None:
        """Take in a version of a Node."""
        node = NodeView.from_raw(raw)
        known = self.nodes.get(node.name)
        if known is None or known.uid != node.uid or known.version < node.version:
            self.nodes[node.name] = node

    def drop_node(self, name: str, uid: str) -> None:
        """Forget a Node that is gone; the next one of its name stays."""
        known = self.nodes.get(name)
        if known is not None and known.uid == uid:
            del self.nodes[name]


def _trimmed(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave out what is large and not needed: most jobs are done."""
    metadata = {key: raw["metadata"][key] for key in _KEPT_OF_METADATA if key in raw["metadata"]}
    annotations = raw["metadata"].get("annotations") or {}
    if kept_of := {name: annotations[name] for name in _KEPT_ANNOTATIONS if name in annotations}:
        metadata["annotations"] = kept_of
    status = raw.get("status")
    if not isinstance(status, Mapping) or status.get("state") != JobState.DONE:
        return {"metadata": metadata, "spec": raw.get("spec"), "status": status}
    spec = {key: value for key, value in (raw.get("spec") or {}).items() if key != "factfile"}
    kept = {key: status[key] for key in _KEPT_OF_DONE if key in status}
    if status.get("observedGeneration") != metadata.get("generation"):
        # They are about to be written once more.
        kept |= {key: status[key] for key in ("message", "conditions") if key in status}
    return {"metadata": metadata, "spec": spec, "status": kept}
