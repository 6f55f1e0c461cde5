"""What people do to the objects of a model's cluster."""

import copy
import json
from typing import Any

from factotum.controller.clock import HeldClock
from factotum.kube import names
from support.builders import factfiles, jobs
from support.model.api import Api
from support.model.exclusion import Exclusion
from support.model.workers import Workers


class People(Workers):
    """Make jobs, change what is wanted of them, and take off what they should not."""

    def __init__(self, api: Api, clock: HeldClock, workers: int) -> None:
        super().__init__(api, clock, workers)
        self.exclusion = Exclusion()

    def create_job(
        self, name: str, *, kind: str = "model", policy: str = "Queue", **spec: Any
    ) -> None:
        """Create a job; its status is empty. All of one kind have one job id."""
        uid = self.api.new_uid("job")
        factfile = json.loads(factfiles.graph(kind, a=(), b=("a",)))
        spec = {"factfile": factfile, "duplicatePolicy": policy, "desiredState": "Run"} | spec
        self.exclusion.know(uid, kind, policy)
        self.api.put("jobs", jobs.raw_job(name=name, uid=uid, spec=spec), "ADDED")

    def order(self, name: str, desired: str) -> None:
        """Change what is desired of a job."""
        raw = copy.deepcopy(self.api.jobs[name])
        if raw["spec"]["desiredState"] != desired:
            raw["spec"]["desiredState"] = desired
            raw["metadata"]["generation"] += 1
            self.api.put("jobs", raw)

    def annotate(self, name: str, value: str) -> None:
        """Ask for another attempt of a job, if it has failed by then."""
        raw = copy.deepcopy(self.api.jobs[name])
        raw["metadata"]["annotations"] = {names.ANNOTATION_RESUME: value}
        self.api.put("jobs", raw)

    def keep_deleted(self, name: str) -> None:
        """Delete a job that somebody's finalizer keeps."""
        raw = self.api.jobs[name]
        raw["metadata"]["deletionTimestamp"] = "2026-03-01T12:00:00Z"
        self.api.put("jobs", raw)

    def strip(self, raw: dict[str, Any], what: str) -> None:
        """Take our label or the owner off a Pod, as anybody may who can change Pods."""
        raw = copy.deepcopy(raw)
        if what == "label":
            raw["metadata"]["labels"].pop(names.LABEL_JOB_UID, None)
        else:
            raw["metadata"]["ownerReferences"] = []
        self.stripped.add(self.api.made_for[raw["metadata"]["uid"]])
        self.api.put("pods", raw)
