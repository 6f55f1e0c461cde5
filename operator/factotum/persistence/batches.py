"""Requests that come while others are under way travel together.

A lone request goes at once; under load, many share one round trip, whose cost
(most of it in the client library) then hardly counts. Must not know what the
requests are.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from factotum.persistence.errors import StoreError

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Batches(Generic[Item, Answer]):
    """Sends items in batches over a few lanes.

    Args:
        send: sends a batch and returns each item's answer, or the error that
            is its own; raises what concerns them all.
        weigh: an item's size, one that must go alone may weigh more than ``weight``.
    """

    def __init__(
        self,
        send: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | StoreError]]],
        *,
        weigh: Callable[[Item], int] = lambda _: 0,
        lanes: int = 2,
        count: int = 64,
        weight: int = 200_000,
    ) -> None:
        self._send = send
        self._weigh = weigh
        self._free = lanes
        self._count = count
        self._weight = weight
        self._waiting: deque[tuple[Item, asyncio.Future[Answer]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, item: Item) -> Answer:
        """Send one item, in whatever company, and return its answer."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._start()
        return await future

    def _start(self) -> None:
        while self._free and (batch := self._next()):
            self._free -= 1
            task = asyncio.create_task(self._carry(batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _next(self) -> list[tuple[Item, asyncio.Future[Answer]]]:
        batch: list[tuple[Item, asyncio.Future[Answer]]] = []
        weight = 0
        while self._waiting and len(batch) < self._count:
            item, future = self._waiting[0]
            if future.done():  # whoever asked went away
                self._waiting.popleft()
                continue
            weight += self._weigh(item)
            if batch and weight > self._weight:
                break
            batch.append(self._waiting.popleft())
        return batch

    async def _carry(self, batch: Sequence[tuple[Item, asyncio.Future[Answer]]]) -> None:
        answers: Sequence[Answer | Exception]
        try:
            answers = await self._send([item for item, _ in batch])
        except Exception as exc:  # noqa: BLE001 - whoever asked must hear of it
            answers = [exc] * len(batch)
        finally:
            self._free += 1
            self._start()
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
