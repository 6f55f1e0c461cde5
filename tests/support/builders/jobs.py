"""Jobs, Pods, plans and reports as the controller sees them, with a default for everything."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from factotum.controller.claims.judging import ClaimRequest
from factotum.controller.claims.tokens import PodIdentity
from factotum.controller.decide.table import Decision
from factotum.controller.facts.observed import AnyNode, Held, Observed, Plan
from factotum.controller.facts.pods import PodView, Terminated
from factotum.core.wire import termination
from factotum.core.wire.reports import Report
from factotum.kube import names
from factotum.kube.memory import merge
from factotum.kube.resource import FactotumJob, JobUid

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
JOB_UID = JobUid("11111111-2222-3333-4444-555555555555")
CLAIM_ID = "c" * 32
OTHER_CLAIM_ID = "d" * 32
POD_UID = "pod-uid-1"
DIGEST = "ab" * 32
TASKS = ("extract", "load", "tidy")


def after(seconds: float) -> datetime:
    """Return a moment after NOW."""
    return NOW + timedelta(seconds=seconds)


def raw_job(
    *,
    spec: Mapping[str, Any] | None = None,
    status: Mapping[str, Any] | None = None,
    **metadata: Any,
) -> dict[str, Any]:
    """Return a FactotumJob's JSON; a keyword is a field of its metadata."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {
            "namespace": "pipelines",
            "name": "nightly",
            "uid": JOB_UID,
            "resourceVersion": "10",
            "generation": 1,
            "creationTimestamp": "2026-03-01T11:00:00Z",
        }
        | metadata,
        "spec": dict(spec or {"factfile": {}}),
        "status": dict(status or {}),
    }


def make_job(**fields: Any) -> FactotumJob:
    """Return the view of what ``raw_job`` makes."""
    return FactotumJob.from_raw(raw_job(**fields))


def working_status(**fields: Any) -> dict[str, Any]:
    """Return the status of a claimed job; a keyword is a field of it."""
    return {
        "state": "WORKING",
        "outcome": "RUNNING",
        "reason": "Claimed",
        "message": "running in Pod nightly-1-1-0",
        "observedGeneration": 1,
        "attempt": 1,
        "launch": 1,
        "factfileHash": DIGEST,
        "claim": {
            "id": CLAIM_ID,
            "podName": "nightly-1-1-0",
            "podUID": POD_UID,
            "nodeName": "node-a",
            "time": "2026-03-01T12:00:00Z",
        },
        "sequence": 0,
        "progress": f"0/{len(TASKS)}",
        "tasks": [{"name": name, "state": "WAITING"} for name in TASKS],
    } | fields


def done_status(**fields: Any) -> dict[str, Any]:
    """Return the status of a job that ended well."""
    ended = {"state": "DONE", "outcome": "SUCCEEDED", "reason": "Succeeded", "sequence": 9}
    return working_status(**(ended | fields))


def raw_pod(
    *,
    uid: str = POD_UID,
    attempt: int = 1,
    launch: int = 1,
    status: Mapping[str, Any] | None = None,
    **metadata: Any,
) -> dict[str, Any]:
    """Return the JSON of one of the job's Pods."""
    return {
        "metadata": {
            "namespace": "pipelines",
            "name": names.pod_name("nightly", JOB_UID, attempt, launch),
            "uid": uid,
            "resourceVersion": "20",
            "labels": {names.LABEL_JOB_UID: JOB_UID},
            "annotations": {
                names.ANNOTATION_ATTEMPT: str(attempt),
                names.ANNOTATION_LAUNCH: str(launch),
                names.ANNOTATION_FACTFILE_HASH: DIGEST,
                names.ANNOTATION_JOB_ID: "e" * 64,
            },
            "ownerReferences": [
                {
                    "apiVersion": names.API_VERSION,
                    "kind": names.KIND,
                    "name": "nightly",
                    "uid": JOB_UID,
                    "controller": True,
                }
            ],
        }
        | metadata,
        "spec": {"nodeName": "node-a"},
        "status": dict(status or {"phase": "Running"}),
    }


def make_pod(*, uid: str = POD_UID, attempt: int = 1, launch: int = 1, **fields: Any) -> PodView:
    """Return the view of a running Pod; a keyword replaces a field of the view."""
    pod = PodView.from_raw(raw_pod(uid=uid, attempt=attempt, launch=launch))
    return replace(pod, **fields)


def ended_pod(
    message: str = "",
    *,
    exit_code: int = 0,
    reason: str = "Completed",
    **fields: Any,
) -> PodView:
    """Return a Pod whose runner's container has ended with that termination message."""
    terminated = Terminated(exit_code=exit_code, reason=reason, message=message)
    phase = "Failed" if exit_code else "Succeeded"
    return make_pod(**({"phase": phase, "terminated": terminated} | fields))


def identity_of(raw: Mapping[str, Any]) -> PodIdentity:
    """Return who the runner in a Pod is, by its token."""
    metadata = raw["metadata"]
    return PodIdentity(
        namespace=metadata["namespace"], pod_name=metadata["name"], pod_uid=metadata["uid"]
    )


def make_claim(
    uid: str = JOB_UID, *, attempt: int = 1, launch: int = 1, claim_id: str = CLAIM_ID
) -> ClaimRequest:
    """Return what the runner of the job's first Pod asks for."""
    return ClaimRequest(uid=JobUid(uid), attempt=attempt, launch=launch, claim_id=claim_id)


def make_plan(*task_names: str, **fields: Any) -> Plan:
    """Return an accepted factfile of these tasks."""
    plan = Plan(text="{}", digest=DIGEST, job_id="e" * 64, task_names=task_names or TASKS)
    return replace(plan, **fields)


def make_report(states: str = "SSS", **fields: Any) -> Report:
    """Return the claim's report number 1; with a final one say ``final=True``."""
    report = Report(
        claim_id=CLAIM_ID,
        sequence=1,
        final=False,
        interrupted=0,
        states=states,
        codes={},
        started={},
        seconds={},
        errors={},
        job_reference="r" * 64,
        run_reference="q" * 64,
    )
    return report.replace(**fields)


def make_message(
    states: str = "SSS", *, codes: Mapping[int, int] | None = None, **fields: Any
) -> str:
    """Return the termination message of the claim's runner: the final one by default."""
    content: dict[str, Any] = {
        "claim_id": CLAIM_ID,
        "factfile_hash": DIGEST,
        "sequence": 7,
        "final": True,
        "interrupted": 0,
    }
    return termination.encode(**(content | fields), states=states, codes=codes or {}).decode()


def observed(job: FactotumJob, *pods: PodView, **fields: Any) -> Observed:
    """Return all facts about a job, of which nothing stands in the way of running it."""
    known: dict[str, Any] = {
        "factfile": make_plan(),
        "host": AnyNode(),
        "place": Held(),
        "mirrored": True,
    }
    return Observed(job=job, pods=pods, **(known | fields))


def patched(job: FactotumJob, patch: Mapping[str, Any]) -> FactotumJob:
    """Return the job as it is after a status patch."""
    return replace(job, status=merge(job.status, patch), resource_version=str(job.version + 1))


def brief(decision: Decision) -> dict[str, Any]:
    """Return what a decision does, in few words and without what it does not do."""
    told: dict[str, Any] = {}
    if decision.ask:
        told["ask"] = set(decision.ask)
    if decision.join:
        told["join"] = True
    if decision.announce:
        told["announce"] = True
    if decision.patch is not None:
        patch = decision.patch
        told["patch"] = (
            f"{patch['state']}/{patch['outcome']} {patch['reason']}"
            if "state" in patch
            else f"progress {patch['progress']}"
        )
    if decision.notice is not None:
        told["event"] = decision.notice.type
    if decision.delete:
        told["delete"] = [pod.uid for pod in decision.delete]
    if decision.create:
        told["create"] = True
    if decision.remove:
        told["remove"] = True
    if decision.again_in is not None:
        told["again"] = decision.again_in
    return told
