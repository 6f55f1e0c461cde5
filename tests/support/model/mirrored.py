"""The mirror and the cache that feeds it; the store and the API are in memory."""

import json
from typing import Any

from factotum.controller.facts.cache import Cache
from factotum.controller.mirror.feeding import ConsulMirror
from factotum.controller.queue.slots import Slots
from factotum.kube import names
from factotum.kube.memory import MemoryApi
from factotum.persistence.entries import JobKey
from support.builders.jobs import raw_job, raw_pod
from support.builders.mirrors import settings
from support.consul.stores import MemoryStore

ID = "e" * 64
OTHER_ID = "f" * 64
KEY = JobKey("pipelines", ID)
PATH = settings().key_path(KEY)


class Bench:
    """A mirror and the cache that feeds it; versions are counted here."""

    def __init__(self) -> None:
        self.cache = Cache()
        self.api = MemoryApi()
        self.store = MemoryStore()
        store: Any = self.store
        self.slots = Slots(5)
        self.mirror = ConsulMirror(self.api, self.cache, self.slots, store, settings())
        self.cache.subscribe(self.mirror)
        self.version = 100

    def job(self, name, state, reason="", *, job_id=ID, completed=0, **more):
        self.version += 1
        outcome = {"QUEUED": "WAITING", "WORKING": "RUNNING"}.get(state, "SUCCEEDED")
        status = {"state": state, "outcome": outcome, "jobId": job_id, "observedGeneration": 1}
        status |= {"reason": reason or {"DONE": "Succeeded"}.get(state, "Claimed")}
        if completed:
            hours, minutes = divmod(completed, 60)
            status["completionTime"] = (
                f"2026-03-{1 + hours // 24:02}T{hours % 24:02}:{minutes:02}:00Z"
            )
        raw = raw_job(
            name=name,
            uid=f"uid-{name}",
            resourceVersion=str(self.version),
            status=status | more,
        )
        return self.cache.put_job(raw)

    def pod(self, name, phase="Running", **annotations):
        self.version += 1
        raw = raw_pod(uid=f"pod-{name}", resourceVersion=str(self.version), status={"phase": phase})
        metadata = raw["metadata"]
        metadata["name"] = names.pod_name(name, f"uid-{name}", 1, 1)
        metadata["labels"] = {names.LABEL_JOB_UID: f"uid-{name}"}
        metadata["annotations"] |= annotations
        metadata["ownerReferences"][0] |= {"name": name, "uid": f"uid-{name}"}
        return self.cache.put_pod(raw)

    def entry(self, path=PATH):
        stored = self.store.values.get(path)
        if stored is None:
            return None
        entry = json.loads(stored.value)
        name = entry["jobRequest"]["jobName"].rpartition("/")[2]
        return name, entry["state"], entry["lastOutcome"]

    async def settled(self):
        await self.mirror._mirror.settled()

    def spoken_of(self, key=KEY):
        return {view.name for view in self.mirror.views(key)}
