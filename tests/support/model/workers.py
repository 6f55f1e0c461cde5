"""The model's count of workers: whose Pods run tasks, or may get to."""

from typing import Any

from factotum.controller.clock import HeldClock
from factotum.kube import names
from support.model.api import Api, Request
from support.model.parts import Box

_LATE_SECONDS = 5.0
_UNHEARD_SECONDS = 10.0
"""After which an unclaimed Pod gives its worker back: its claim asks for one again."""


class Workers:
    """What is known of Pods, from the side of who may run.

    Attributes:
        workers: how many attempts may run at once.
        is_crowded: a claim of the dead was written late, so there may be more than allowed.
        deleted_at: when jobs were deleted, by UID.
        stripped: jobs of whose Pods something was taken off.
        counts_until: how long a Pod that nobody claims holds its worker.
    """

    def __init__(self, api: Api, clock: HeldClock, workers: int) -> None:
        self.api = api
        self.clock = clock
        self.workers = workers
        self.boxes: dict[str, Box] = {}
        self.is_crowded = False
        self.deleted_at: dict[str, float] = {}
        self.stripped: set[str] = set()
        self.counts_until: dict[str, float] = {}

    def _count(self, request: Request, uid: str) -> None:
        """Note how long a Pod that nobody claims holds its worker: not if it came late."""
        now = self.clock.monotonic()
        # Or if who asked for it is dead: whoever came after could not know of it.
        is_late = now - request.sent >= _LATE_SECONDS or request.answer.cancelled()
        self.counts_until[uid] = now if is_late else now + _UNHEARD_SECONDS

    def _check_slots(self, request: Request, *, makes_pod: bool) -> None:
        """Check that a Pod is only made, and claimed, while no other job's may run."""
        status = request.body.get("status", {}) if request.method == "PATCH" else {}
        claims = status.get("state") == "WORKING"
        if not makes_pod and not claims:
            return
        if request.answer.cancelled():
            if makes_pod:
                return
            # A claim of the dead; whoever came after could not know of it.
            self.is_crowded = True
        if makes_pod:
            uid = request.body["metadata"]["labels"][names.LABEL_JOB_UID]
        else:
            raw = self.api.jobs.get(request.path.split("/")[-2])
            version = request.body["metadata"]["resourceVersion"]
            if raw is None or raw["metadata"]["resourceVersion"] != version:
                return
            uid = raw["metadata"]["uid"]
        others = {
            self.api.made_for[pod["metadata"]["uid"]]
            for pod in self.api.pods.values()
            if pod["status"]["phase"] not in ("Succeeded", "Failed")
            and self._may_run(pod, claimed_only=claims)
        } - {uid}
        is_crowded = len(others) >= self.workers and not self.is_crowded
        assert not is_crowded, "more jobs run than there are workers"

    def _may_run(self, pod: dict[str, Any], *, claimed_only: bool) -> bool:
        """Whether a Pod runs tasks or may get to: without its job it cannot claim any more."""
        box = self.boxes.get(pod["metadata"]["uid"])
        claimed = box is not None and any(runner.letters for runner in box.runners)
        uid = self.api.made_for[pod["metadata"]["uid"]]
        if uid in self.deleted_at:
            # The Pods of a job that is gone are waited for, but not for ever.
            is_ours = uid not in self.stripped
            return claimed and is_ours and self.clock.monotonic() < self.deleted_at[uid] + 60
        if uid in self.stripped:
            # Nobody sees it any more: it counts as long as its verdict is awaited.
            job = self.api.job_of(uid)
            return claimed and job is not None and job["status"].get("state") == "WORKING"
        if claimed_only:
            return claimed
        never_starts = "deletionTimestamp" in pod["metadata"] and box is None
        counts = self.clock.monotonic() < self.counts_until[pod["metadata"]["uid"]]
        return claimed or (counts and not never_starts and not self._is_fenced_off(pod, uid))

    def _is_fenced_off(self, pod: dict[str, Any], uid: str) -> bool:
        """Whether a Pod is of an earlier launch than its job's: its claim is refused."""
        job = self.api.job_of(uid)
        if job is None:
            return False
        made = pod["metadata"]["annotations"]
        of_pod = int(made[names.ANNOTATION_ATTEMPT]), int(made[names.ANNOTATION_LAUNCH])
        status = job["status"]
        return of_pod < (status.get("attempt") or 1, status.get("launch") or 1)
