"""Who brings all reasons about: scene by scene, and what is promised of each.

Real: see the modules of the cases.
"""

import contextlib
import itertools
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Self

from cluster.reasons import done_badly, done_well, kubernetes, waiting, working
from cluster.reasons.catalogue import CASES, Case
from cluster.reasons.scene import Scene, slug_of
from cluster.reasons.witness import MovedOnError, Seen, change, look
from factotum.core.words import reasons
from factotum.core.words.states import JobState, RunState
from support.cluster.kube_api import jobs_path
from support.cluster.operator_process import OperatorProcess
from support.cluster.workbench import Workbench

EVERY_KIND = (waiting, working, done_well, done_badly, kubernetes)
"""The modules that enter their cases into the catalogue."""
LOST = ("Preempting", "NodeLost", "Shutdown")
_AT_ONCE = 16
_CANCEL_SECONDS = 10
_NUMBERS = itertools.count(1)


@dataclass(slots=True)
class Outcome:
    """What became of bringing a reason about: what was seen, or what went wrong.

    Attributes:
        way: states and reasons of the job, one after the other.
        waited: it waited to the end, and was cancelled then.
        end: its last status.
    """

    seen: Seen | None = None
    failure: BaseException | None = None
    way: tuple[tuple[str, str], ...] = ()
    waited: bool = False
    end: Mapping[str, Any] = field(default_factory=dict)

    def get(self) -> Seen:
        """Return what was seen.

        Raises:
            BaseException: what went wrong instead.
        """
        if self.seen is None:
            raise self.failure or AssertionError("it was not tried")
        return self.seen


def expected_row(reason: str) -> tuple[str, str, str]:
    """Return state, outcome and type of the Event that a reason promises."""
    row = reasons.TABLE.get(reason)
    if row is not None:
        return row.state, row.outcome, row.notice
    state = (JobState.DONE, RunState.FAILED) if reason in LOST else (JobState.QUEUED, "WAITING")
    return (*state, reasons.notice_of(reason, state[1]))


class Stage:
    """Brings reasons about, in a namespace for all and in those of their own."""

    def __init__(self, bench: Workbench, prefix: tuple[str, ...]) -> None:
        self._bench, self._prefix = bench, prefix
        self._open = contextlib.ExitStack()
        self._prepared: dict[str, Scene] = {}
        self._alone = {
            reason: f"{bench.namespace}-{slug_of(reason)}"
            for reason, case in CASES.items()
            if case.is_alone
        }
        self.outcomes: dict[str, Outcome] = {}

    def __enter__(self) -> Self:
        for namespace in self._alone.values():
            home = Workbench(self._bench.installation, namespace, self._bench.folder)
            self._open.enter_context(home)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def operator(self, *flags: str) -> OperatorProcess:
        """Prepare an operator for all of it; the next one leads as soon as it is there."""
        namespaces = [f"--namespace={name}" for name in self._alone.values()]
        name = f"operator-{next(_NUMBERS)}"
        return self._bench.operator(
            *flags, *namespaces, name=name, prefix=self._prefix, identity="of-all-reasons"
        )

    def begin(self, operator: OperatorProcess) -> None:
        """Do what takes an operator of few workers, and what comes before another one."""
        for case in CASES.values():
            if case.prepare is not None:
                scene = self._prepared[case.reason] = self._scene(case, 1)
                scene.meet(operator)
                case.prepare(scene)
        for case in CASES.values():
            if case.is_tight:
                self._bring_about(case, operator)

    def go_on(self, operator: OperatorProcess) -> None:
        """Do all the rest, much of it at once; what takes long first."""
        rest = [case for case in CASES.values() if not case.is_tight]
        rest.sort(key=lambda case: -case.seconds)
        with ThreadPoolExecutor(_AT_ONCE) as hands:
            list(hands.map(lambda case: self._bring_about(case, operator), rest))

    def _bring_about(self, case: Case, operator: OperatorProcess) -> None:
        """Bring a reason about and look; once more if it went by too fast."""
        outcome = self.outcomes[case.reason] = Outcome()
        for number in range(1, 6):
            scene = self._prepared.get(case.reason) or self._scene(case, number)
            scene.meet(operator)
            try:
                case.act(scene)
                is_end = expected_row(case.reason)[0] == JobState.DONE
                outcome.seen = look(scene, case, is_end=is_end)
                change(scene, outcome.seen)
            except MovedOnError as moved:
                outcome.failure = moved
            except Exception as failure:  # noqa: BLE001 - told by the test of that reason
                outcome.failure = failure
                return
            else:
                return
            finally:
                scene.close()

    def cancel_those_that_wait(self) -> None:
        """Cancel every job that waits still, and see what becomes of it."""
        api, waiting = self._bench.api, []
        for outcome in self.outcomes.values():
            if outcome.seen is None:
                continue
            metadata = outcome.seen.job["metadata"]
            path = jobs_path(metadata["namespace"], metadata["name"])
            outcome.end = api.get(path)["status"]
            if outcome.end["state"] == JobState.QUEUED:
                outcome.waited = True
                waiting.append((outcome, path))
                api.patch(path, {"spec": {"desiredState": "Cancel"}})
        deadline = time.monotonic() + _CANCEL_SECONDS
        while waiting and time.monotonic() < deadline:
            for outcome, path in waiting:
                outcome.end = api.get(path)["status"]
            waiting = [(o, path) for o, path in waiting if o.end["state"] == JobState.QUEUED]
            time.sleep(0.1)

    def _scene(self, case: Case, number: int) -> Scene:
        namespace = self._alone.get(case.reason, self._bench.namespace)
        again = "" if number == 1 else f"-{number}"
        return Scene(self._bench, namespace, f"{slug_of(case.reason)}{again}")
