"""Pods that are being made: requests of their own, so that one that hangs holds up nobody else.

A webhook may keep a creation for half a minute. The look that asks for a Pod
waits for the answer a moment only, as almost every answer comes by then; later
ones are taken in by another look. Until then the job is as one that waits.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from factotum.controller import log
from factotum.controller.apply.writer import NameTaken, Writer
from factotum.controller.clock import Clock
from factotum.controller.facts.observed import HostFact, Plan, PodRefusal
from factotum.controller.facts.pods import PodView
from factotum.controller.observe.memory import Creation, JobMemory
from factotum.controller.observe.namespaces import Namespaces
from factotum.kube.resource import FactotumJob, JobUid

logger = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 0.5
"""How long a look waits for the answer."""

_Answer = PodView | PodRefusal | NameTaken


class Creations:
    """Every request for a Pod that is under way.

    Args:
        look: queues a look at a job.
    """

    def __init__(
        self,
        writer: Writer,
        namespaces: Namespaces,
        clock: Clock,
        look: Callable[[JobUid], None],
    ) -> None:
        self._writer = writer
        self._namespaces = namespaces
        self._clock = clock
        self._look = look
        self._tasks: set[asyncio.Task[_Answer]] = set()

    async def create(self, job: FactotumJob, plan: Plan, host: HostFact, memory: JobMemory) -> None:
        """Ask for the Pod of the current launch; the caller holds the job's lock.

        An answer that is no Pod queues a look, and so does one that comes late.
        """
        now = self._clock.monotonic()
        self._namespaces.begin(job.namespace, job.uid, now)
        task = asyncio.create_task(self._ask(job, plan, host))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        memory.began(Creation(job.attempt, job.launch, now, task), now)
        try:
            await asyncio.wait({task}, timeout=PATIENCE_SECONDS)
        finally:
            if not task.done():
                task.add_done_callback(lambda _: self._look(job.uid))
        if task.done() and not self.take_answer(memory):
            self._look(job.uid)

    async def _ask(self, job: FactotumJob, plan: Plan, host: HostFact) -> _Answer:
        refusal: PodRefusal | None = None
        try:
            answer = await self._writer.create_pod(job, plan, host)
            refusal = answer if isinstance(answer, PodRefusal) else None
        finally:
            now = self._clock.monotonic()
            self._namespaces.end(job.namespace, job.uid, refusal, now)
        if refusal is not None and not refusal.is_answer:
            log.of(logger, job).warning("%s", refusal.message)
        return answer

    def take_answer(self, memory: JobMemory) -> bool:
        """Take in the answer, if it has come; whether it is the Pod."""
        creation = memory.creation
        if creation is None or not creation.answer.done():
            return False
        memory.creation = None
        match creation.answer.result():
            case PodRefusal() as refusal:
                memory.refused(refusal, self._clock.monotonic())
            case NameTaken():
                memory.name_taken = creation.attempt, creation.launch
                memory.accepted()
            case _:
                memory.accepted()
                return True
        return False

    def close(self) -> None:
        """Give up what is under way: what came of it is found out at the next start."""
        for task in self._tasks:
            task.cancel()
