"""Jobs that ask for nothing odd, and jobs that have to queue. Pure."""

from dataclasses import replace

from factotum.controller.decide.table import decide
from factotum.controller.facts.observed import (
    Waits,
)
from support.builders.jobs import (
    NOW,
    after,
    make_job,
    observed,
    patched,
)

NEW = make_job()
QUEUED = {"state": "QUEUED", "outcome": "WAITING", "observedGeneration": 1}


def test_defaults_are_no_reason_to_refuse():
    spec = {
        "factfile": {},
        "desiredState": "Run",
        "duplicatePolicy": "Queue",
        "retry": {"limit": 0, "backoffSeconds": 10, "mode": "Resume"},
    }

    assert decide(observed(make_job(spec=spec)), NOW).create


def test_a_job_without_a_slot_is_queued_once():
    seen = observed(NEW, place=Waits())

    patch = decide(seen, NOW).patch

    assert (patch["state"], patch["outcome"], patch["reason"]) == (
        "QUEUED",
        "WAITING",
        "WaitingForWorker",
    )
    assert decide(replace(seen, job=patched(NEW, patch)), after(60)).patch is None
