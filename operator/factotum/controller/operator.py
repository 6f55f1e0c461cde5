"""One running operator: its parts, its start and its end. Wiring only.

Nothing is decided before every list was read; from then on the watches keep
the cache fresh, and a sweep now and then finds what they missed.
"""

import asyncio
import gc
import logging
import os
from collections.abc import Mapping
from typing import Any, Final

from factotum.controller.admission.registration import Registration
from factotum.controller.admission.server import AdmissionServer
from factotum.controller.assembly import Controller, build
from factotum.controller.claims.keys import SigningKeys
from factotum.controller.claims.passing import PassingOn
from factotum.controller.claims.server import ClaimsServer
from factotum.controller.claims.tokens import TokenReviewer
from factotum.controller.clock import SystemClock
from factotum.controller.facts.cache import Cache
from factotum.controller.health import Health
from factotum.controller.leader.elector import Elector
from factotum.controller.leader.term import Term
from factotum.controller.metrics.keeping import Keeping
from factotum.controller.metrics.pages import Pages, checked_page, figures_page, health_pages
from factotum.controller.metrics.passing import CountedApi, CountedStore, counting_pods
from factotum.controller.mirror.feeding import ConsulMirror
from factotum.controller.mirror.protocol import Mirror, NoMirror
from factotum.controller.observe.hosts import Resolver
from factotum.controller.pod_template.judging import bounds_of
from factotum.controller.queue import submission
from factotum.controller.queue.slots import Slots
from factotum.controller.settings import Settings
from factotum.controller.starting import PAUSE_SECONDS, myself, patiently
from factotum.controller.tls import keeping as certificates
from factotum.controller.tls.identity import Identity
from factotum.controller.watch.sources import Sources
from factotum.core.wire import submissions
from factotum.kube import errors, paths
from factotum.kube.client import KubeClient
from factotum.kube.fenced import FencedApi
from factotum.persistence.consul import ConsulStore
from factotum.persistence.entries import EntrySettings, checked_name

logger = logging.getLogger(__name__)

_SWEEP_SECONDS: Final = 120.0
_LOOK_SECONDS: Final = 600.0
"""No look takes so long: each of its few requests ends within half a minute."""
_WATCH_SECONDS: Final = 900.0
"""A watch ends after five minutes, and a list of everything takes some more."""
_EXIT_DEPOSED: Final = 3


class Operator:
    """Everything that runs between start-up and the end.

    One of several replicas leads. The others know the same, and pass on what
    Pods ask them.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._clock = SystemClock()
        self._cache = Cache()
        self._health = Health()
        self._keeping = Keeping(self._cache, self._clock)
        self._pages: list[Pages] = []
        self._slots = Slots(
            settings.max_workers,
            per_namespace=settings.max_workers_per_namespace,
            max_jobs=settings.max_jobs,
        )
        self._term = Term(self._clock.boottime, _end_at_once)
        self._me = myself(settings)
        self._tasks: list[asyncio.Task[None]] = []
        self._office: asyncio.Task[None] | None = None
        self._mirror: Mirror = NoMirror()
        self._identity = Identity()
        self._admission: AdmissionServer | None = None
        self._controller: Controller | None = None

    async def start(self) -> None:
        """Read the world, then stand by until it is our turn to lead.

        Raises:
            KubeError: the API server cannot be used; the message says how.
            FactotumError: a setting cannot be used.
        """
        settings, keeping = self._settings, self._keeping
        await self._show()
        self._client = await KubeClient.from_environment()
        self._api = CountedApi(self._client, keeping.figures)
        self._resolver = Resolver(settings.dns_timeout_seconds)
        self._elector = self._election()
        await self._begin_tls()
        await self._begin_claims()
        await self._begin_admission()
        # Others' renewals are counted from when they are first seen: the sooner the better.
        await patiently(self._elector.look)
        self._tasks.append(asyncio.create_task(self._elector.run(), name="election"))
        consul = await self._consul_mirror()
        self._mirror = consul or NoMirror()
        controller = build(
            api=FencedApi(self._api, self._term.check),
            settings=settings,
            resolver=self._resolver,
            cache=self._cache,
            slots=self._slots,
            mirror=self._mirror,
            clock=self._clock,
            recorder=keeping.figures,
            authorities=lambda: self._identity.trusted,
        )
        await patiently(controller.sources.read_everything, may_be_missing=True)
        keeping.courses.begin()
        self._controller = controller
        self._server.stand_by(self._passing)
        self._tasks += [
            asyncio.create_task(controller.sources.jobs.run(), name="watch of jobs"),
            asyncio.create_task(controller.sources.pods.run(), name="watch of Pods"),
            asyncio.create_task(controller.sources.nodes.run(), name="watch of Nodes"),
            asyncio.create_task(self._sweep(controller.sources), name="sweep"),
        ]
        self._office = asyncio.create_task(self._serve(controller, consul), name="reconciler")
        self._tasks.append(self._office)
        self._watch_over(controller)
        self._measure(controller, consul)
        # What was just read stays: to look through it for garbage again and again takes long.
        gc.collect()
        gc.freeze()
        self._health.started()
        logger.info("watching %d jobs", len(self._cache.jobs))
        if settings.drain:
            logger.warning("draining: jobs go on, new submissions to the job server are refused")

    async def _show(self) -> None:
        """Serve figures and health from the first moment on."""
        settings = self._settings
        told = health_pages(self._health) | {submissions.PATH: checked_page(self.no_submissions)}
        for pages, host, port in (
            (told, settings.liveness_host, settings.liveness_port),
            (
                {"/metrics": figures_page(self._keeping.figures.registry)},
                settings.metrics_host,
                settings.metrics_port,
            ),
        ):
            if port:
                server = Pages(pages, host=host, port=port)
                await server.start()
                self._pages.append(server)
                self._health.watch(server.failure)

    def _watch_over(self, controller: Controller) -> None:
        """Have every part that runs by itself watched."""
        health, sources = self._health, controller.sources
        for task in self._tasks:
            health.watch_task(task)
        health.watch_moves("reconciler", controller.reconciler.longest_look, _LOOK_SECONDS)
        for name, reflector in (
            ("watch of jobs", sources.jobs),
            ("watch of Pods", sources.pods),
            ("watch of Nodes", sources.nodes),
        ):
            health.watch_moves(name, reflector.still_seconds, _WATCH_SECONDS)
        self._swept = self._clock.monotonic()
        health.watch_moves("sweep", lambda: self._clock.monotonic() - self._swept, _WATCH_SECONDS)
        health.watch(self._mirror.failure)

    def _measure(self, controller: Controller, consul: ConsulMirror | None) -> None:
        """Have read what is not counted as it happens."""
        keeping, reconciler = self._keeping, controller.reconciler
        keeping.workers(self._slots, self._settings.max_workers)
        keeping.looks(reconciler.queue, reconciler.longest_look, controller.ledger)
        keeping.claims(self._server.door)
        if consul is not None:
            keeping.mirror(consul)

    def _election(self) -> Elector:
        namespace, _, name = self._settings.lease.partition("/")
        return Elector(
            self._api,
            self._me,
            namespace=namespace,
            name=name,
            term=self._term,
            clock=self._clock,
            is_fit=lambda: self._controller is not None,
        )

    async def _serve(self, controller: Controller, consul: ConsulMirror | None) -> None:
        """Keep up with who leads, then lead; for ever."""
        standing_by = asyncio.create_task(controller.reconciler.stand_by())
        try:
            await self._await_office(controller.sources)
        finally:
            standing_by.cancel()
        controller.reconciler.start()
        self._cache.subscribe(controller.reconciler)
        if consul is not None:
            self._cache.recount(consul)
            self._cache.subscribe(consul)
            consul.start()
        self._server.open(controller.desk)
        self._keeping.figures.leads(True)
        logger.info("leading: %d jobs to look at", len(controller.reconciler.queue))
        await controller.reconciler.run()

    async def _await_office(self, sources: Sources) -> None:
        """Wait until we lead, and know all that those before us have written.

        Watches may be behind. Most of the time in which a dead leader's Lease
        still counts nobody writes any more, so it is looked at then.
        """
        while True:
            await self._elector.vacant.wait()
            vacancy = self._elector.sighting
            try:
                await sources.sweep()
            except errors.KubeError as exc:
                logger.warning("not everything can be read yet: %s", exc)
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            if await self._elector.settled(vacancy):
                return

    async def _begin_tls(self) -> None:
        """Find out who we are, and keep that up to date."""
        settings = self._settings
        source: certificates.Source
        if settings.tls_files is not None:
            source = certificates.Files(**settings.tls_files._asdict())
        else:
            source = certificates.Kept(
                self._api,
                self._clock,
                namespace=settings.operator_namespace,
                name=settings.tls_secret,
                hosts=settings.certificate_names,
            )
        await patiently(lambda: source.look(self._identity))
        task = certificates.keep(source, self._identity)
        self._tasks.append(asyncio.create_task(task, name="keeping of certificates"))

    async def _begin_claims(self) -> None:
        """Listen to Pods: 503 until the lists are read."""
        settings = self._settings
        self._passing = PassingOn(
            self._elector.leader,
            tls=lambda: self._identity.client,
            server_name=settings.certificate_names[0],
        )
        audience = settings.token_audience
        self._server = ClaimsServer(
            TokenReviewer(self._api, audience, SigningKeys(self._api, audience, self._clock)),
            host=settings.claims_host,
            port=settings.claims_port,
            tls=self._identity.server,
            name=self._me.holder,
            middlewares=[counting_pods(self._keeping.figures)],
        )
        await self._server.start()
        self._health.watch(self._server.failure)

    async def _begin_admission(self) -> None:
        """Look at jobs before they are stored, if that is wanted."""
        settings = self._settings
        if not settings.admission_port:
            return
        self._admission = AdmissionServer(
            host=settings.admission_host,
            port=settings.admission_port,
            tls=self._identity.server,
            bounds=bounds_of(settings.token_audience, settings.runner_templates),
        )
        await self._admission.start()
        self._health.watch(self._admission.failure)
        if settings.admission_webhook:
            registration = Registration(self._api, self._identity, settings.admission_webhook)
            task = asyncio.create_task(registration.run(), name="registration of the webhook")
            self._tasks.append(task)

    async def _consul_mirror(self) -> ConsulMirror | None:
        """Prepare the mirror, if there is a Consul to mirror to."""
        settings = self._settings
        if settings.consul_address is None:
            return None
        path = paths.item(paths.NAMESPACES, "kube-system")
        cluster = await patiently(lambda: self._api.get(path))
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
        access = settings.consul_access
        how = "by TLS" if access.tls else "in plain text"
        logger.info("mirroring to Consul at %s, %s, as %s", settings.consul_address, how, name)
        if access.shows_token_to_everybody:
            logger.warning("Consul's token travels in plain text: --consul-tls")
        store = CountedStore(
            ConsulStore(settings.consul_address, access, may_write=self._term.check),
            self._keeping.figures,
        )
        return ConsulMirror(self._api, self._cache, self._slots, store, entry_settings)

    async def stop(self) -> None:
        """End; whatever is under way is found out again by whoever leads next."""
        self._server.stand_by(self._passing)
        if self._office is not None:
            self._office.cancel()
            await asyncio.gather(self._office, return_exceptions=True)
        if self._controller is not None:
            await self._controller.writer.settle()
        await self._mirror.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._elector.release()
        await self._server.stop()
        if self._admission is not None:
            await self._admission.stop()
        await self._passing.close()
        self._resolver.close()
        await self._client.close()
        for pages in self._pages:
            await pages.stop()

    async def _sweep(self, sources: Sources) -> None:
        """Find what the watches missed: they promise nothing."""
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            try:
                await sources.sweep()
            except errors.KubeError as exc:
                logger.warning("the sweep could not read everything: %s", exc)
            self._swept = self._clock.monotonic()

    def woken(self) -> None:
        """Look, before anything else is done, whether the time stood still for too long."""
        if self._term.is_over():
            self._term.lose("this process stood still for longer than its Lease")

    def no_submissions(self) -> str | None:
        """Return why no job may be handed in to a job server now, if none may."""
        if not self._term.left:
            return submissions.NOT_LEADING
        return submission.refusal(
            waiting=self._slots.waiting,
            max_jobs=self._settings.max_jobs,
            drains=self._settings.drain,
        )

    def job_changed(self, kind: str | None, raw: Mapping[str, Any]) -> None:
        """Take in a watch event about a FactotumJob."""
        if self._controller is not None:
            self._controller.sources.new_job(kind, raw)


def _end_at_once(reason: str) -> None:
    """End the process where it stands: somebody else leads, and anything more could be a write."""
    logger.critical("this replica does not lead any more: %s; it ends", reason)
    logging.shutdown()
    os._exit(_EXIT_DEPOSED)
