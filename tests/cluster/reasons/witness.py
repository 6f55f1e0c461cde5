"""What the tools say of a job: kubectl itself, kstatus by its published rules, its Events.

Real: kubectl, the API server, its watch.
"""

import contextlib
import http.client
import json
import math
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self

from cluster.reasons.catalogue import Case
from cluster.reasons.scene import Scene
from support.cluster.clusters import Cluster, Refused
from support.cluster.kstatus import kstatus
from support.cluster.kube_api import GROUP, KubeApi, RawObject

DONE = "jsonpath={.status.state}=DONE"
QUESTIONS = {
    "Complete": "condition=Complete",
    "Failed": "condition=Failed",
    "Suspended": "condition=Suspended",
    "DONE": DONE,
}
"""What people have `kubectl wait` wait for."""
_END_SECONDS = 60
_OBSERVED_SECONDS = 15


class MovedOnError(Exception):
    """The job had another reason before all tools were asked."""


@dataclass(slots=True)
class Seen:
    """A job as the tools showed it while it had a reason.

    Attributes:
        met: for what `kubectl wait` does not wait any more.
        events: of the job, once all is over.
        observed_after: seconds until a change of the spec, that changes nothing, was observed.
    """

    case: Case
    job: RawObject
    met: frozenset[str]
    kstatus: str
    events: list[RawObject] = field(default_factory=list)
    observed_after: float = math.inf

    @property
    def status(self) -> Mapping[str, Any]:
        """The job's status."""
        return dict(self.job["status"])

    @property
    def uid(self) -> str:
        """The job's UID."""
        return str(self.job["metadata"]["uid"])

    @property
    def told(self) -> list[RawObject]:
        """The Events of the reason itself."""
        return [event for event in self.events if event["reason"] == self.case.reason]


def ask(cluster: Cluster, scene: Scene, condition: str, seconds: int = 0) -> bool:
    """Have `kubectl wait` say whether something is so, or becomes so in time."""
    where = ("-n", scene.namespace, f"--for={condition}", f"--timeout={seconds}s")
    try:
        said = cluster.kubectl("wait", f"fj/{scene.name}", *where)
    except Refused as refused:
        if "condition not met" in str(refused) or "timed out" in str(refused):
            return False
        raise
    return "condition met" in said


def look(scene: Scene, case: Case, *, is_end: bool) -> Seen:
    """Wait for the reason and ask all tools about the job.

    Raises:
        MovedOnError: it changed meanwhile.
    """
    cluster = scene.bench.installation.cluster
    questions = dict(QUESTIONS)
    known = set()
    if is_end:
        # As people do: it is asked before it is so, and must come back.
        assert ask(cluster, scene, DONE, _END_SECONDS), f"{case.reason}: kubectl still waits"
        del questions["DONE"]
        known = {"DONE"}
    before = scene.wait_reason(case.reason)
    # All at once: what moves on by itself does not wait for one after the other.
    with ThreadPoolExecutor(len(questions)) as hands:
        answers = hands.map(lambda asked: ask(cluster, scene, asked), questions.values())
        met = known | {word for word, is_met in zip(questions, answers, strict=True) if is_met}
    after = scene.job()
    if after["status"]["reason"] != case.reason or is_new_spec(before, after):
        raise MovedOnError(f"{case.reason} became {after['status']['reason']}")
    return Seen(case, after, frozenset(met), kstatus(after))


def change(scene: Scene, seen: Seen) -> None:
    """Change of the spec what changes nothing now, and see how long that is not observed."""
    changed = scene.api.patch(scene.path(), {"spec": {"ttlSecondsAfterFinished": 86400}})
    generation, began = changed["metadata"]["generation"], time.monotonic()
    while time.monotonic() < began + _OBSERVED_SECONDS:
        if scene.job()["status"]["observedGeneration"] == generation:
            seen.observed_after = time.monotonic() - began
            return
        time.sleep(0.05)


def is_new_spec(before: RawObject, after: RawObject) -> bool:
    """Tell whether somebody changed the spec meanwhile."""
    return bool(before["metadata"]["generation"] != after["metadata"]["generation"])


class Followed:
    """Every status that any job of the cluster ever has, from `__enter__` on."""

    def __init__(self, api: KubeApi) -> None:
        self._api = api
        self._ways: dict[str, list[tuple[str, str]]] = {}
        self._connection = api.connect(timeout=3600)
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def __enter__(self) -> Self:
        version = self._api.get(f"{GROUP}/factotumjobs")["metadata"]["resourceVersion"]
        path = f"{GROUP}/factotumjobs?watch=1&resourceVersion={version}&timeoutSeconds=3000"
        self._connection.request("GET", path)
        self._answer = self._connection.getresponse()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection.sock is not None:
            with contextlib.suppress(OSError):
                self._connection.sock.shutdown(2)
        self._thread.join(10)
        self._connection.close()

    def way(self, uid: str) -> list[tuple[str, str]]:
        """Give the states and reasons that a job had, one after the other."""
        return list(self._ways.get(uid, ()))

    def _follow(self) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
            while line := self._answer.readline():
                job = json.loads(line)["object"]
                status = job.get("status") or {}
                turn = (str(status.get("state", "")), str(status.get("reason", "")))
                way = self._ways.setdefault(job["metadata"]["uid"], [])
                if not way or way[-1] != turn:
                    way.append(turn)


def gather_events(api: KubeApi, seen: Iterable[Seen], expected: Mapping[str, str]) -> None:
    """Give each its Events, once all that are expected are there: nobody waits for them.

    Args:
        expected: the type of the Event of each reason; empty: none.
    """
    every = list(seen)
    deadline = time.monotonic() + 10
    while True:
        events = api.items("/api/v1/events?limit=5000")
        for each in every:
            each.events = [e for e in events if e["involvedObject"].get("uid") == each.uid]
        late = [each for each in every if expected[each.case.reason] and not each.told]
        if not late or time.monotonic() > deadline:
            return
        time.sleep(0.2)


def came_again(way: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Give what a job's status said, left and said again."""
    return [turn for turn, count in Counter(way).items() if count > 1]
