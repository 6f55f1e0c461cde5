"""One running operator: its parts, its start and its end. Wiring only.

Nothing is decided before every list was read; from then on the watches keep
the cache fresh, and a sweep now and then finds what they missed.
"""

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple, TypeVar

from factotum.controller.apply.writer import Writer
from factotum.controller.claims.desk import Desk
from factotum.controller.claims.keys import SigningKeys
from factotum.controller.claims.server import ClaimsServer
from factotum.controller.claims.tokens import TokenReviewer
from factotum.controller.clock import Clock, SystemClock
from factotum.controller.facts.cache import Cache
from factotum.controller.mirror.feeding import ConsulMirror
from factotum.controller.mirror.protocol import Mirror, NoMirror
from factotum.controller.observe.hosts import Resolver
from factotum.controller.observe.ledger import Ledger
from factotum.controller.observe.live import Live
from factotum.controller.observe.observer import Observer
from factotum.controller.observe.surroundings import make_surroundings
from factotum.controller.queue import submission
from factotum.controller.queue.slots import Slots
from factotum.controller.reconcile.reconciler import Reconciler
from factotum.controller.settings import Settings
from factotum.controller.watch.sources import Sources
from factotum.kube import errors, paths
from factotum.kube.api import KubeApi
from factotum.kube.client import KubeClient
from factotum.persistence.consul import ConsulStore
from factotum.persistence.entries import EntrySettings, checked_name

logger = logging.getLogger(__name__)

_T = TypeVar("_T")

_SWEEP_SECONDS: Final = 120.0
_START_SECONDS: Final = 120.0
_START_PAUSE: Final = 2.0
_MISSING_PAUSE: Final = 5.0


class Controller(NamedTuple):
    """The parts that bring jobs forward, put together; the same in the operator and in tests."""

    sources: Sources
    reconciler: Reconciler
    desk: Desk
    writer: Writer


def build(
    *,
    api: KubeApi,
    settings: Settings,
    resolver: Resolver,
    cache: Cache,
    slots: Slots,
    mirror: Mirror,
    clock: Clock,
) -> Controller:
    """Put the controller together."""
    live, ledger = Live(api, cache), Ledger()
    surroundings = make_surroundings(settings, cache, lambda uid: reconciler.queue.add(uid))
    observer = Observer(
        cache=cache,
        live=live,
        slots=slots,
        resolver=resolver,
        clock=clock,
        surroundings=surroundings,
    )
    writer = Writer(api, cache, settings, clock)
    reconciler = Reconciler(
        cache=cache,
        live=live,
        observer=observer,
        writer=writer,
        slots=slots,
        ledger=ledger,
        mirror=mirror,
        clock=clock,
        surroundings=surroundings,
    )
    desk = Desk(
        cache=cache,
        live=live,
        observer=observer,
        writer=writer,
        slots=slots,
        ledger=ledger,
        clock=clock,
        bring_forward=reconciler.look,
        look_later=reconciler.queue.add,
        namespaces=settings.namespaces,
    )
    sources = Sources(api, cache, settings.namespaces, reconciler.doubt)
    return Controller(sources, reconciler, desk, writer)


class Operator:
    """Everything that runs between start-up and the end."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._cache = Cache()
        self._slots = Slots(
            settings.max_workers,
            per_namespace=settings.max_workers_per_namespace,
            max_jobs=settings.max_jobs,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._mirror: Mirror = NoMirror()
        self._controller: Controller | None = None

    async def start(self) -> None:
        """Read the world, then begin to work.

        Raises:
            KubeError: the API server cannot be used; the message says how.
            FactotumError: a setting cannot be used.
        """
        settings = self._settings
        self._client = await KubeClient.from_environment()
        self._resolver = Resolver(settings.dns_timeout_seconds)
        audience = settings.token_audience
        reviewer = TokenReviewer(self._client, audience, SigningKeys(self._client, audience))
        self._server = ClaimsServer(reviewer, host=settings.claims_host, port=settings.claims_port)
        await self._server.start()
        consul = await self._consul_mirror()
        self._mirror = consul or NoMirror()
        controller = build(
            api=self._client,
            settings=settings,
            resolver=self._resolver,
            cache=self._cache,
            slots=self._slots,
            mirror=self._mirror,
            clock=SystemClock(),
        )
        if consul is not None:
            self._cache.subscribe(consul)
        await _patiently(controller.sources.read_everything, may_be_missing=True)
        controller.reconciler.start()
        self._cache.subscribe(controller.reconciler)
        if consul is not None:
            consul.start()
        self._controller = controller
        self._server.open(controller.desk)
        self._tasks = [
            asyncio.create_task(controller.reconciler.run(), name="reconciler"),
            asyncio.create_task(controller.sources.jobs.run(), name="watch of jobs"),
            asyncio.create_task(controller.sources.pods.run(), name="watch of Pods"),
            asyncio.create_task(controller.sources.nodes.run(), name="watch of Nodes"),
            asyncio.create_task(_sweep(controller.sources), name="sweep"),
        ]
        # What was just read stays: to look through it for garbage again and again takes long.
        gc.collect()
        gc.freeze()
        logger.info("watching %d jobs", len(self._cache.jobs))
        if settings.drain:
            logger.warning("draining: jobs go on, new submissions to the job server are refused")

    async def _consul_mirror(self) -> ConsulMirror | None:
        """Prepare the mirror, if there is a Consul to mirror to."""
        settings = self._settings
        if settings.consul_address is None:
            return None
        path = paths.item(paths.NAMESPACES, "kube-system")
        cluster = await _patiently(lambda: self._client.get(path))
        name = checked_name(
            settings.consul_name,
            cluster_uid=cluster["metadata"]["uid"],
            force=settings.force_consul_name,
        )
        entry_settings = EntrySettings(
            prefix=settings.consul_namespace,
            name=name,
            bare_namespace=settings.consul_kubernetes_namespace,
        )
        logger.info("mirroring to Consul at %s as %s", settings.consul_address, name)
        store = ConsulStore(settings.consul_address)
        return ConsulMirror(self._client, self._cache, self._slots, store, entry_settings)

    async def stop(self) -> None:
        """End; whatever is under way is found out again at the next start."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.stop()
        if self._controller is not None:
            await self._controller.writer.settle()
        await self._mirror.stop()
        self._resolver.close()
        await self._client.close()

    def failure(self) -> str | None:
        """Return why this operator is of no use any more, if it is."""
        for task in self._tasks:
            if task.done():
                return f"the {task.get_name()} has ended"
        return self._mirror.failure()

    def backlog(self) -> int:
        """Return how many jobs are to be looked at."""
        return 0 if self._controller is None else len(self._controller.reconciler.queue)

    def submissions(self) -> str:
        """Return whether one more job may be handed in to a job server, and why not."""
        why = submission.refusal(
            waiting=self._slots.waiting,
            max_jobs=self._settings.max_jobs,
            drains=self._settings.drain,
        )
        return f"refused: {why}" if why else "taken"

    def job_changed(self, kind: str | None, raw: Mapping[str, Any]) -> None:
        """Take in a watch event about a FactotumJob."""
        if self._controller is not None:
            self._controller.sources.new_job(kind, raw)


async def _patiently(read: Callable[[], Awaitable[_T]], *, may_be_missing: bool = False) -> _T:
    """Read something at the start; a server that is not ready itself gets some time.

    Args:
        may_be_missing: wait for as long as it takes while there is no such thing.

    Raises:
        KubeError: it was refused, or there was no good answer for two minutes.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _START_SECONDS
    was_missing = False
    while True:
        try:
            found = await read()
        except errors.NotFoundError:
            if not may_be_missing:
                raise
            if not was_missing:
                logger.warning("FactotumJobs are not served: is their definition installed?")
            was_missing, deadline = True, loop.time() + _START_SECONDS
            await asyncio.sleep(_MISSING_PAUSE)
            continue
        except (errors.UnreachableError, errors.ExpiredError) as exc:
            if loop.time() >= deadline:
                raise
            logger.warning("the API server is not ready yet: %s", exc)
            await asyncio.sleep(_START_PAUSE)
            continue
        if not was_missing:
            return found
        # What is served is found out once more, from a list that may come a moment later.
        was_missing = False
        await asyncio.sleep(_START_PAUSE)


async def _sweep(sources: Sources) -> None:
    """Find what the watches missed: they promise nothing."""
    while True:
        await asyncio.sleep(_SWEEP_SECONDS)
        try:
            await sources.sweep()
        except errors.KubeError as exc:
            logger.warning("the sweep could not read everything: %s", exc)
