"""What must have become of a model's jobs once everything works again: what I4 says."""

from typing import Any

from factotum.controller.decide.launching import MAX_LAUNCHES
from factotum.kube.names import ANNOTATION_RESUME
from support.model.cluster import Cluster
from support.model.parts import Runner


class Ends:
    """The ends of a cluster's jobs."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def promised(self) -> dict[str, str]:
        """Return the outcomes that jobs must have, as nothing stands in their way."""
        jobs = self._cluster.api.jobs.items()
        promised = {name: self._promise(job) for name, job in jobs}
        return {name: outcome for name, outcome in promised.items() if outcome is not None}

    def _promise(self, job: dict[str, Any]) -> str | None:
        status = job["status"]
        if status.get("state") == "DONE" or "deletionTimestamp" in job["metadata"]:
            return None
        if job["spec"]["desiredState"] != "Run" or "order" in status:
            return None  # which of the two was first is not known here
        if status.get("claim") is not None:
            outcome = self._promise_of_claim(status["claim"])
            has_retries = status.get("retries", 0) < job["spec"].get("retry", {}).get("limit", 0)
            is_asked = bool(job["metadata"].get("annotations"))
            return None if outcome == "FAILED" and (has_retries or is_asked) else outcome
        if job["spec"]["duplicatePolicy"] == "Reject":
            return None
        # Its launches may have been used up by somebody who wants it so.
        is_free = job["metadata"]["uid"] not in self._cluster.stripped
        return "SUCCEEDED" if is_free and status.get("launch", 1) < MAX_LAUNCHES - 1 else None

    def _promise_of_claim(self, claim: dict[str, Any]) -> str | None:
        runner = self._cluster.runners[claim["id"]]
        pod = self._cluster.api.pod_of(claim["podUID"])
        box = self._cluster.boxes[claim["podUID"]]
        truth = "SUCCEEDED" if runner.succeeded else "FAILED"
        wrote = runner.final and claim["id"].encode() in box.log
        if box.ended_at is not None and box.ended_at >= self._cluster.controller.began["pods"]:
            # This controller was told of the end, whatever became of the Pod.
            return truth if wrote else None
        if pod is None or box.evicted:
            return None
        if wrote:
            return truth
        if runner.alive and "deletionTimestamp" not in pod["metadata"]:
            failed = "F" in (runner.letters or ())
            return "FAILED" if failed or runner.stopping else "SUCCEEDED"
        return None

    def check(self, promised: dict[str, str]) -> None:
        """Check that all is over, as it was promised, and that nothing is held any more."""
        api = self._cluster.api
        for name, job in api.jobs.items():
            status = job["status"]
            assert is_at_rest(job), f"I4: {name} is stuck: {status}"
            observed = status["observedGeneration"] == job["metadata"]["generation"]
            assert observed or "deletionTimestamp" in job["metadata"], f"I4: {name} is unobserved"
            if name in promised:
                assert status["outcome"] == promised[name], f"I4: {name} ended wrongly: {status}"
        for runner in self._cluster.runners.values():
            job = next((j for j in api.jobs.values() if _ran(j, runner)), None)
            if job is not None and runner.told:
                truth = "SUCCEEDED" if runner.succeeded else "FAILED"
                assert job["status"]["outcome"] == truth, "I4: a verdict was told and not kept"
        slots = self._cluster.controller.slots
        lost = len(slots), slots.held_ids, slots.waiting
        assert lost == (0, 0, 0), f"I4: workers, job ids, places in the queue are lost: {lost}"


def is_at_rest(job: dict[str, Any]) -> bool:
    """Whether a job has come to where it stays, as things are wanted."""
    status, desired = job["status"], job["spec"]["desiredState"]
    if status.get("state") == "DONE":
        if status["outcome"] == "SUCCEEDED" or "deletionTimestamp" in job["metadata"]:
            return True
        asked = job["metadata"].get("annotations", {}).get(ANNOTATION_RESUME)
        is_new = asked not in (None, status.get("resumeSeen"))
        return desired != "Run" or not (is_new or status["reason"] == "Cancelled")
    return desired == "Suspend" and status.get("reason") == "Suspended"


def _ran(job: dict[str, Any], runner: Runner) -> bool:
    return bool((job["status"].get("claim") or {}).get("id") == runner.claim_id)
