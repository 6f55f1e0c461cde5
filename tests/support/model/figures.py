"""The figures of a controller as Prometheus would read them: by their text, with its own parser."""

from typing import Any

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from factotum.controller.claims.door import Door
from factotum.controller.metrics.keeping import Keeping
from factotum.controller.mirror.feeding import ConsulMirror
from support.builders.mirrors import settings
from support.consul.stores import MemoryStore
from support.model.stage import Stage

Samples = dict[tuple[str, tuple[str, ...]], float]


def read(text: str) -> Samples:
    """Return each sample's value by its name and its labels' values, which are sorted."""
    return {
        (sample.name, tuple(sorted(sample.labels.values()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def keep(stage: Stage, *, workers: int = 1) -> Keeping:
    """Have everything that happens on a stage measured, as the operator does."""
    keeping = Keeping(stage.cache, stage.clock)
    store: Any = MemoryStore()
    keeping.workers(stage.slots, workers)
    keeping.looks(stage.reconciler.queue, stage.reconciler.longest_look, stage.parts.ledger)
    keeping.claims(Door(places=7))
    keeping.mirror(ConsulMirror(stage.api, stage.cache, stage.slots, store, settings()))
    return keeping


def now(keeping: Keeping) -> Samples:
    """Return what would be told now."""
    return read(generate_latest(keeping.figures.registry).decode())
