"""The parts that bring jobs forward, put together; the same in the operator and in tests."""

from collections.abc import Callable
from typing import NamedTuple

from factotum.controller.apply.writer import Writer
from factotum.controller.claims.desk import Desk
from factotum.controller.clock import Clock
from factotum.controller.facts.cache import Cache
from factotum.controller.mirror.protocol import Mirror
from factotum.controller.observe.hosts import Resolver
from factotum.controller.observe.ledger import Ledger
from factotum.controller.observe.live import Live
from factotum.controller.observe.observer import Observer
from factotum.controller.observe.surroundings import make_surroundings
from factotum.controller.queue.slots import Slots
from factotum.controller.reconcile.reconciler import Reconciler
from factotum.controller.recording import NO_RECORDER, Recorder
from factotum.controller.settings import Settings
from factotum.controller.watch.sources import Sources
from factotum.kube.api import KubeApi


class Controller(NamedTuple):
    """The parts that bring jobs forward, put together; the same in the operator and in tests."""

    sources: Sources
    reconciler: Reconciler
    desk: Desk
    writer: Writer
    ledger: Ledger


def build(  # noqa: PLR0913 - what a controller is put together from
    *,
    api: KubeApi,
    settings: Settings,
    resolver: Resolver,
    cache: Cache,
    slots: Slots,
    mirror: Mirror,
    clock: Clock,
    authorities: Callable[[], str] = str,
    recorder: Recorder = NO_RECORDER,
) -> Controller:
    """Put the controller together.

    Args:
        authorities: gives the certificates that tell runners whom to trust; none where none runs.
    """
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
    writer = Writer(api, cache, settings, clock, authorities, recorder)
    reconciler = Reconciler(
        cache=cache,
        live=live,
        observer=observer,
        writer=writer,
        slots=slots,
        ledger=ledger,
        mirror=mirror,
        clock=clock,
        recorder=recorder,
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
    return Controller(sources, reconciler, desk, writer, ledger)
