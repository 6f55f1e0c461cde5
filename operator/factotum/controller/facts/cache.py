"""What the watches have told: the newest known version of every object.

Trimmed to what is needed, and kept by resource version, so that an old event
never hides a newer one. Absence here proves nothing; the reconciler asks.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from factotum.controller.facts.observed import PodView
from factotum.controller.observe.hosts import NodeView
from factotum.kube.resource import FactotumJob, JobUid


class Store:
    """Jobs, their Pods, and the Nodes."""

    def __init__(self) -> None:
        self.jobs: dict[JobUid, FactotumJob] = {}
        self.nodes: dict[str, NodeView] = {}
        self._pods: dict[JobUid, dict[str, PodView]] = defaultdict(dict)
        self._last_words: dict[JobUid, dict[str, PodView]] = defaultdict(dict)

    def put_job(self, raw: Mapping[str, Any]) -> FactotumJob:
        """Take in a version of a job and return the newest known one."""
        job = FactotumJob.from_raw(_trimmed(raw))
        known = self.jobs.get(job.uid)
        if known is not None and known.version >= job.version:
            return known
        self.jobs[job.uid] = job
        if job.is_done:
            self._last_words.pop(job.uid, None)
        return job

    def drop_job(self, uid: JobUid) -> None:
        """Forget a job that is gone."""
        self.jobs.pop(uid, None)
        self._last_words.pop(uid, None)

    def put_pod(self, raw: Mapping[str, Any]) -> PodView | None:
        """Take in a version of a Pod; None if it is not ours."""
        pod = PodView.from_raw(raw)
        if pod is None:
            return None
        pods = self._pods[pod.job_uid]
        known = pods.get(pod.uid)
        if known is None or known.version < pod.version:
            pods[pod.uid] = pod
        return pods[pod.uid]

    def drop_pod(self, job_uid: JobUid, pod_uid: str) -> None:
        """Forget a Pod that is gone; but not its verdict, which may not have been read yet."""
        pods = self._pods.get(job_uid, {})
        pod = pods.pop(pod_uid, None)
        if not pods:
            self._pods.pop(job_uid, None)
        job = self.jobs.get(job_uid)
        if pod is not None and pod.terminated is not None and job is not None and not job.is_done:
            self._last_words[job_uid][pod_uid] = pod

    def pods_of(self, uid: JobUid) -> tuple[PodView, ...]:
        """Return a job's known Pods, and how those ended that are gone."""
        return (*self._pods.get(uid, {}).values(), *self._last_words.get(uid, {}).values())

    def pods(self) -> list[PodView]:
        """Return every known Pod."""
        return [pod for pods in self._pods.values() for pod in pods.values()]

    def put_nodes(self, raws: Iterable[Mapping[str, Any]]) -> None:
        """Replace all Nodes."""
        self.nodes = {node.name: node for node in map(NodeView.from_raw, raws)}


def _trimmed(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Leave out what is large and not needed: most jobs are done."""
    metadata = {
        key: value
        for key, value in raw["metadata"].items()
        if key not in ("managedFields", "annotations", "labels")
    }
    if (raw.get("status") or {}).get("state") != "DONE":
        return {**raw, "metadata": metadata}
    spec = {key: value for key, value in (raw.get("spec") or {}).items() if key != "factfile"}
    status = {key: value for key, value in raw["status"].items() if key != "tasks"}
    return {**raw, "metadata": metadata, "spec": spec, "status": status}
