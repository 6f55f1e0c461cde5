"""A model of the API server, as much of it as the controller uses, for tests of invariants.

Requests wait until the test serves them, loses their answer, or loses them;
one whose sender has died may still be served. Every change is kept as a watch
event, to be delivered when the test likes. The invariants that concern a
written status are checked here, where it is written.
"""

import asyncio
import copy
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from factotum.kube import errors, names
from factotum.kube.api import Page
from factotum.kube.memory import merge
from factotum.kube.resource import parse_time

NAMESPACE = "pipelines"
PAIRS = {
    ("QUEUED", "WAITING"),
    ("WORKING", "RUNNING"),
    ("DONE", "SUCCEEDED"),
    ("DONE", "FAILED"),
}
_JOB = re.compile(rf"/apis/{names.API_VERSION}/namespaces/{NAMESPACE}/{names.PLURAL}/([^/]+)")
_POD = re.compile(rf"/api/v1/namespaces/{NAMESPACE}/pods/([^/]+)")


@dataclass(slots=True, eq=False)
class Request:
    """One request under way."""

    method: str
    path: str
    body: Any
    answer: "asyncio.Future[Any]"
    sent: float = 0.0

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(slots=True)
class Api:
    """The stored objects, by name, and what happened to them.

    Attributes:
        events: per kind, every change as a watch tells it.
        made_for: the job of each Pod, by their UIDs, whatever its labels say now.
        truly_succeeded: whether the runner of a claim did everything it had to.
        at_work: the runners of a job, by its UID, that run tasks in a Pod that is there.
        now: the moment, for what may be done after a time only.
    """

    truly_succeeded: Callable[[str], bool]
    at_work: Callable[[str], list[str]]
    now: Callable[[], datetime]
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    pods: dict[str, dict[str, Any]] = field(default_factory=dict)
    events: dict[str, list[tuple[str, dict[str, Any]]]] = field(
        default_factory=lambda: {"jobs": [], "pods": []}
    )
    made_for: dict[str, str] = field(default_factory=dict)
    version: int = 100
    uids: int = 0

    def put(self, kind: str, raw: dict[str, Any], change: str = "MODIFIED") -> dict[str, Any]:
        """Store an object and tell of it."""
        self.version += 1
        raw["metadata"]["resourceVersion"] = str(self.version)
        before = self._objects(kind).get(raw["metadata"]["name"])
        self._objects(kind)[raw["metadata"]["name"]] = raw
        if kind == "jobs" or watched(raw):
            self.events[kind].append((change, copy.deepcopy(raw)))
        elif before is not None and watched(before):
            # What falls out of a watch's selector is gone for that watch.
            self.events[kind].append(("DELETED", copy.deepcopy(raw)))
        return copy.deepcopy(raw)

    def remove(self, kind: str, name: str) -> None:
        """Remove an object and tell of it."""
        raw = self._objects(kind).pop(name)
        self.version += 1
        raw["metadata"]["resourceVersion"] = str(self.version)
        if kind == "jobs" or watched(raw):
            self.events[kind].append(("DELETED", copy.deepcopy(raw)))

    def new_uid(self, kind: str) -> str:
        """Return a UID that was never used."""
        self.uids += 1
        return f"{kind}-uid-{self.uids}"

    def pod_of(self, uid: str) -> dict[str, Any] | None:
        """Return the Pod of a UID, if it is there."""
        return next((p for p in self.pods.values() if p["metadata"]["uid"] == uid), None)

    def job_of(self, uid: str) -> dict[str, Any] | None:
        """Return the job of a UID, if it is there."""
        return next((j for j in self.jobs.values() if j["metadata"]["uid"] == uid), None)

    def handle(self, request: Request) -> Any:
        """Answer a request as the API server does.

        Raises:
            KubeError: the answer is a failure.
        """
        method, path, body = request.method, request.path, request.body
        if method == "LIST":
            kind = path.rpartition("/")[2]
            kind = "jobs" if kind == names.PLURAL else kind
            listed = [o for o in self._objects(kind).values() if kind != "pods" or watched(o)]
            return copy.deepcopy(listed)
        if match := _JOB.match(path):
            raw = self._found("jobs", match[1])
            if method == "DELETE":
                return self._delete_job(raw, body)
            return self._patch(raw, body) if method == "PATCH" else copy.deepcopy(raw)
        if match := _POD.match(path):
            raw = self._found("pods", match[1])
            return self._delete(raw, body["uid"]) if method == "DELETE" else copy.deepcopy(raw)
        if path.endswith("/pods"):
            return self._create(copy.deepcopy(body))
        assert "/events" in path, request
        return body | {"metadata": {"name": "one"}}

    def _objects(self, kind: str) -> dict[str, dict[str, Any]]:
        return {"jobs": self.jobs, "pods": self.pods}.get(kind, {})

    def _found(self, kind: str, name: str) -> dict[str, Any]:
        if name not in self._objects(kind):
            raise errors.from_status(404, "NotFound", f"no {name}")
        return self._objects(kind)[name]

    def _create(self, raw: dict[str, Any]) -> dict[str, Any]:
        if raw["metadata"]["name"] in self.pods:
            raise errors.from_status(409, "AlreadyExists", "it exists")
        raw["metadata"]["uid"] = self.new_uid("pod")
        self.made_for[raw["metadata"]["uid"]] = raw["metadata"]["labels"][names.LABEL_JOB_UID]
        raw["status"] = {"phase": "Pending"}
        return self.put("pods", raw, "ADDED")

    def _delete(self, raw: dict[str, Any], uid: str) -> dict[str, Any]:
        if raw["metadata"]["uid"] != uid:
            raise errors.from_status(409, "Conflict", "another UID")
        job = self.job_of(self.made_for[uid])
        if job is not None and job["status"].get("state") != "DONE":
            claim = job["status"].get("claim") or {}
            is_running = claim.get("podUID") == uid and "deletionTimestamp" not in job["metadata"]
            assert not is_running or self._is_overdue(job), "a Pod that runs its job is deleted"
        self.mark_deleted(raw)
        return {}

    def _is_overdue(self, job: Mapping[str, Any]) -> bool:
        """Whether a runner has had its time to obey an order."""
        order = job["status"].get("order")
        since = parse_time(order["time"]) if order else None
        return since is not None and self.now() - since >= timedelta(seconds=30)

    def _delete_job(self, raw: dict[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
        metadata = raw["metadata"]
        if (body["uid"], body["version"]) != (metadata["uid"], metadata["resourceVersion"]):
            raise errors.from_status(409, "Conflict", "it changed, or is another")
        assert raw["status"].get("state") == "DONE", "the controller deletes a job with no verdict"
        assert not is_wanted(raw), "a job is deleted that is to get another attempt"
        for pod in self.pods.values():
            claim = raw["status"].get("claim") or {}
            is_its_own = pod["metadata"]["uid"] == claim.get("podUID") and watched(pod)
            has_ended = pod["status"]["phase"] in ("Succeeded", "Failed")
            assert not is_its_own or has_ended, "a runner loses its job before its end"
        self.remove("jobs", metadata["name"])
        return {}

    def mark_deleted(self, raw: dict[str, Any]) -> None:
        """Begin a Pod's graceful deletion; its kubelet does the rest."""
        if "deletionTimestamp" not in raw["metadata"]:
            raw["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
            self.put("pods", raw)

    def _patch(self, raw: dict[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
        if body["metadata"]["resourceVersion"] != raw["metadata"]["resourceVersion"]:
            raise errors.from_status(409, "Conflict", "it changed")
        before = raw["status"]
        changed = copy.deepcopy(raw)
        changed["status"] = merge(before, body["status"])
        self._check(before, changed["status"])
        check_turn(raw, changed["status"])
        if changed["status"]["reason"] in ("Suspended", "Cancelled", "Resumed", "Retrying"):
            running = self.at_work(raw["metadata"]["uid"])
            assert not running, f"{changed['status']['reason']} while tasks run: {running}"
        return self.put("jobs", changed)

    def _check(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Check what must hold of every status that is written."""
        assert (after["state"], after["outcome"]) in PAIRS
        if after["outcome"] == "SUCCEEDED":
            assert self.truly_succeeded(after["claim"]["id"]), "I3: a success that was none"
        where = [(s.get("attempt") or 1, s.get("launch") or 1) for s in (before, after)]
        assert where[0] <= where[1], "a launch was taken back"
        claims = [(s.get("claim") or {}).get("id") for s in (before, after)]
        if claims[0] and claims[0] != claims[1]:
            assert claims[1] is None, "a claim went from one runner to another"
            assert where[0] < where[1], "a claim was released without counting the launch"
        if claims[0] == claims[1] is not None:
            assert before.get("sequence", 0) <= after["sequence"], "an older report was taken"


def check_turn(job: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Check that a verdict stays (I2), and that another attempt was asked for."""
    before, spec = job["status"], job["spec"]
    if after.get("attempt", 1) == before.get("attempt", 1):
        if before.get("state") == "DONE":
            said = ("state", "outcome", "reason", "message", "tasks", "claim", "completionTime")
            assert [before.get(k) for k in said] == [after.get(k) for k in said], "I2: it changed"
        return
    assert after["state"] == "QUEUED", "an attempt begins with a claim"
    assert "claim" not in after, "an attempt begins with somebody's claim"
    if after["reason"] == "Retrying":
        assert before["state"] == "WORKING" or not before.get("claim"), "I2: it was done"
        limit = (spec.get("retry") or {}).get("limit", 0)
        assert before.get("retries", 0) < after["retries"] <= limit, "it was tried too often"
        return
    assert after["reason"] == "Resumed", "nobody asked for this attempt"
    assert spec["desiredState"] == "Run", "an attempt begins against an order"
    if before["state"] == "DONE":
        value = (job["metadata"].get("annotations") or {}).get(names.ANNOTATION_RESUME)
        assert before["outcome"] == "FAILED", "I2: a success was run again"
        assert is_wanted(job), "I2: nobody asked for it"
        assert after.get("resumeSeen") == value, "the same value would ask again"


def is_wanted(job: Mapping[str, Any]) -> bool:
    """Whether another attempt is asked for of a job that is done."""
    status, metadata = job["status"], job["metadata"]
    value = (metadata.get("annotations") or {}).get(names.ANNOTATION_RESUME)
    is_asked_for = value not in (None, status.get("resumeSeen")) or status["reason"] == "Cancelled"
    is_run = job["spec"]["desiredState"] == "Run" and "deletionTimestamp" not in metadata
    return is_asked_for and is_run and status["outcome"] == "FAILED"


def watched(pod: Mapping[str, Any]) -> bool:
    """Whether a Pod has the label that the watch asks for."""
    return names.LABEL_JOB_UID in pod["metadata"]["labels"]


class ModelClient:
    """Looks like ``KubeApi``; its requests wait to be served.

    Attributes:
        pending: requests under way, also those of clients that died.
    """

    def __init__(self, pending: list[Request]) -> None:
        self.pending = pending

    async def get(self, path: str) -> dict[str, Any]:
        return await self._send("GET", path)

    async def pages(
        self, path: str, *, selector: str = "", only_metadata: bool = False
    ) -> AsyncIterator[Page]:
        del selector, only_metadata
        yield Page(await self._send("LIST", path), "0")

    async def create(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return await self._send("POST", path, body)

    async def delete(self, path: str, *, uid: str, resource_version: str = "") -> None:
        await self._send("DELETE", path, {"uid": uid, "version": resource_version})

    async def merge(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        return await self._send("PATCH", path, body)

    async def patch_status(
        self, path: str, status: Mapping[str, Any], *, resource_version: str
    ) -> dict[str, Any]:
        body = {"metadata": {"resourceVersion": resource_version}, "status": status}
        return await self._send("PATCH", f"{path}/status", body)

    async def _send(self, method: str, path: str, body: Any = None) -> Any:
        loop = asyncio.get_running_loop()
        answer = loop.create_future()
        self.pending.append(Request(method, path, copy.deepcopy(body), answer, loop.time()))
        return await answer
