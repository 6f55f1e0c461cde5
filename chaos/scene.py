"""What is seen of a world while a plan runs: jobs, Pods, and how far each job has got."""

import contextlib
import json
import threading
import time
from collections.abc import Callable
from typing import Self

from chaos.following import Following
from chaos.world import World
from support.cluster.kube_api import RawObject, jobs_path, pods_path

_NEWS = ("state", "outcome", "reason", "attempt", "launch", "observedGeneration")


def phases_of(status: RawObject, *, has_pod: bool) -> set[str]:
    """Say which phases a job has reached, by its status."""
    reached = {"created"}
    if has_pod:
        reached.add("seen")
    if status.get("state") == "WORKING":
        reached |= {"seen", "claimed"}
    if (status.get("state"), status.get("reason")) == ("QUEUED", "Suspended"):
        reached.add("suspended")
    if status.get("state") == "DONE":
        reached.add("done")
        if status.get("outcome") == "FAILED":
            reached.add("failed")
    return reached


def verdict_of(status: RawObject) -> tuple[int, str, str, str]:
    """Give what a status says in short: attempt, state, outcome, reason."""
    return (
        int(status.get("attempt", 1)),
        str(status.get("state", "")),
        str(status.get("outcome", "")),
        str(status.get("reason", "")),
    )


class Scene:
    """Follows the namespace of a world.

    Attributes:
        told: by a job's UID, each thing that its status said, in order.
        moved: when a job got on, or a Pod.
    """

    def __init__(self, world: World, on_phase: Callable[[str, set[str]], None]) -> None:
        self.world = world
        self.told: dict[str, list[tuple[int, str, str, str]]] = {}
        self.moved = time.monotonic()
        self._on_phase = on_phase
        self._history = (world.folder / "history.jsonl").open("a")
        self._lock = threading.Lock()
        self._seen: set[str] = set()
        namespace = world.namespace
        self.jobs = Following(world.api, jobs_path(namespace), self._job_changed)
        self.pods = Following(world.api, pods_path(namespace), self._pod_changed)
        self._cleanup = contextlib.ExitStack()

    def __enter__(self) -> Self:
        self._cleanup.callback(self._history.close)
        self._cleanup.enter_context(self.pods)
        self._cleanup.enter_context(self.jobs)
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    # --- what there is --------------------------------------------------------------

    def job_of(self, pod: RawObject) -> str:
        """Give the name of the job that a Pod was made for, whatever became of its labels."""
        name, _, rest = pod["metadata"]["name"].rpartition("-")
        return name.rsplit("-", 2)[0] if rest else ""

    def living_pods(self) -> list[RawObject]:
        """Give the Pods that are there and have not ended."""
        ended = ("Succeeded", "Failed")
        return [p for p in self.pods.now() if p.get("status", {}).get("phase") not in ended]

    def pod_of(self, job: str) -> RawObject | None:
        """Give the newest living Pod of a job."""
        found = [pod for pod in self.living_pods() if self.job_of(pod) == job]
        return max(found, key=lambda pod: pod["metadata"]["name"], default=None)

    def unfinished(self) -> list[str]:
        """Give the names of the jobs that are there and not DONE."""
        return [
            job["metadata"]["name"]
            for job in self.jobs.now()
            if job.get("status", {}).get("state") != "DONE"
        ]

    def phases(self, job: RawObject) -> set[str]:
        """Say how far a job has got."""
        has_pod = job["metadata"]["name"] in self._seen
        return phases_of(job.get("status") or {}, has_pod=has_pod)

    # --- what happens ---------------------------------------------------------------

    def _job_changed(self, kind: str, job: RawObject) -> None:
        name, uid = job["metadata"]["name"], job["metadata"]["uid"]
        status = job.get("status") or {}
        self._write("job", kind, name, {key: status.get(key) for key in _NEWS})
        said = verdict_of(status)
        told = self.told.setdefault(uid, [])
        if not told or told[-1] != said:
            told.append(said)
            self.moved = time.monotonic()
        if kind != "DELETED":
            self._on_phase(name, self.phases(job))

    def _pod_changed(self, kind: str, pod: RawObject) -> None:
        job = self.job_of(pod)
        status = pod.get("status", {})
        what = {"phase": status.get("phase"), "node": pod["spec"].get("nodeName")}
        what["deleting"] = "deletionTimestamp" in pod["metadata"]
        self._write("pod", kind, pod["metadata"]["name"], what)
        self.moved = time.monotonic()
        if kind != "DELETED":
            self._seen.add(job)
            self._on_phase(job, {"created", "seen"})

    def _write(self, what: str, kind: str, name: str, fields: RawObject) -> None:
        line = {"time": time.time(), "what": what, "kind": kind, "name": name} | fields
        with self._lock, contextlib.suppress(ValueError):  # closed: nobody reads it any more
            self._history.write(json.dumps(line) + "\n")
            self._history.flush()
