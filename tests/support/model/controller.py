"""One process of the real controller on the model's API server and clock."""

import asyncio
from typing import Any

from factotum.controller import assembly
from factotum.controller.claims.desk import Desk
from factotum.controller.clock import HeldClock
from factotum.controller.facts.cache import Cache
from factotum.controller.mirror.protocol import NoMirror
from factotum.controller.queue.slots import Slots
from factotum.controller.settings import Settings
from support.model.api import Api, ModelClient, Request
from support.model.parts import VirtualLoop


class Controller:
    """One process of the controller, from its start to its death."""

    def __init__(
        self,
        loop: VirtualLoop,
        pending: list[Request],
        api: Api,
        clock: HeldClock,
        workers: int = 1,
    ) -> None:
        client: Any = ModelClient(pending)
        resolver: Any = None  # no job of the model has a host constraint
        self.cache = Cache()
        self.slots = Slots(workers)
        self.parts = assembly.build(
            api=client,
            settings=Settings(max_workers=workers),
            resolver=resolver,
            cache=self.cache,
            slots=self.slots,
            mirror=NoMirror(),
            clock=clock,
        )
        self.reconciler = self.parts.reconciler
        self.desk: Desk | None = None
        self.cursors = {kind: len(events) for kind, events in api.events.items()}
        self.began = dict(self.cursors)
        self._loop = loop
        self._tasks = [loop.create_task(self._run())]

    async def _run(self) -> None:
        """Start as ``Operator.start`` does, without its servers."""
        await self.parts.sources.read_everything()
        self.reconciler.start()
        self.cache.subscribe(self.reconciler)
        self.desk = self.parts.desk
        await self.reconciler.run()

    def spawn(self, coroutine: Any) -> "asyncio.Task[Any]":
        """Run something that dies with this process."""
        task = self._loop.create_task(coroutine)
        self._tasks.append(task)
        return task

    def take(self, kind: str, change: str, raw: dict[str, Any]) -> None:
        """Take in a watch event, as the watches do."""
        uid = raw["metadata"]["uid"]
        if kind == "jobs":
            if change == "DELETED":
                self.cache.drop_job(uid)
            else:
                self.cache.put_job(raw)
            return
        self.cache.put_pod(raw)
        if change == "DELETED":
            self.cache.drop_pod(uid)

    def kill(self) -> None:
        """End at once: requests under way have nobody to answer to."""
        for task in self._tasks:
            task.cancel()
        self.parts.writer.close()
        self._loop.drain()
