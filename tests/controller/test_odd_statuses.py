"""Statuses that others wrote, and objects of odd shapes: one job's oddity stays its own.

Real: the whole controller but for its HTTP side, on an API server in memory; the time is held.
"""

import asyncio
import logging

import pytest

from factotum.controller import assembly
from factotum.controller.clock import HeldClock
from factotum.controller.facts.cache import Cache
from factotum.controller.log import OneLine
from factotum.controller.mirror.protocol import NoMirror
from factotum.controller.observe.hosts import Resolver
from factotum.controller.queue.slots import Slots
from factotum.controller.settings import Settings
from factotum.core.wire.reports import Report
from factotum.kube import names, paths
from factotum.kube.memory import MemoryApi
from factotum.kube.reflector import Reflector, Target
from factotum.kube.resource import FactotumJob, parse_time
from support.builders.factfiles import CHAIN, graph
from support.builders.jobs import (
    CLAIM_ID,
    NOW,
    done_status,
    make_message,
    make_report,
    raw_job,
    raw_pod,
    working_status,
)

SECRET_WORD = "cormorant-7261"
HIDDEN = paths.item(paths.CONFIG_MAPS, "hidden", "elsewhere")
STRANGE_POD = paths.pod("elsewhere", "theirs")


class Bench:
    """The controller on an API in memory, brought forward by hand."""

    def __init__(self, *, max_workers=20):
        self.api, self.clock, self.cache = MemoryApi(), HeldClock(NOW), Cache()
        self.slots = Slots(max_workers)
        self.parts = assembly.build(
            api=self.api,
            settings=Settings(),
            resolver=Resolver(1.0),
            cache=self.cache,
            slots=self.slots,
            mirror=NoMirror(),
            clock=self.clock,
        )

    def put(self, name, *, status=None, annotations=None, **spec):
        spec = spec or {"factfile": {}}
        more = {"annotations": annotations or {}, "uid": f"uid-of-{name}"}
        raw = raw_job(name=name, spec=spec, status=status, **more)
        return self.api.put(paths.job("pipelines", name), raw)

    def status(self, name):
        return self.api.stored(paths.job("pipelines", name))["status"]

    async def run(self, seconds=0.0, *, turns=300):
        """Let everything that can happen happen, the time having moved on."""
        self.clock.move(seconds)
        await self.parts.sources.read_everything()
        self.parts.reconciler.start()
        self.cache.subscribe(self.parts.reconciler)
        task = asyncio.create_task(self.parts.reconciler.run())
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    def asked_elsewhere(self):
        return [r for r in self.api.requests if "elsewhere" in r.path or ".." in r.path]


def claim(**fields):
    return {"id": CLAIM_ID, "podName": "nightly-1-1-0", "podUID": "pod-uid-1"} | fields


ELSEWHERE = {
    "pod-up": {"claim": claim(podName="../../elsewhere/pods/theirs", podUID="theirs")},
    "pod-escaped": {"claim": claim(podName="..%2f..%2felsewhere%2fpods%2ftheirs")},
    "pod-query": {"claim": claim(podName="x?namespace=elsewhere")},
    "pod-absolute": {"claim": claim(podName="/api/v1/namespaces/elsewhere/pods/theirs")},
    "pod-line-end": {"claim": claim(podName="x\r\n\r\nGET /elsewhere")},
    "pod-empty": {"claim": claim(podName="")},
    "job-id": {"jobId": "../../elsewhere", "claim": claim(podName="..")},
    "hash": {"factfileHash": "../../elsewhere/configmaps/hidden", "claim": claim(podName="a/b")},
}


@pytest.mark.parametrize("forged", ELSEWHERE.values(), ids=ELSEWHERE)
async def test_a_forged_claim_reaches_no_other_namespace_and_ends(forged):
    bench = Bench(max_workers=1)
    theirs = raw_pod(uid="theirs", namespace="elsewhere", name="theirs", labels={})
    bench.api.put(STRANGE_POD, theirs)
    bench.put("job", status=working_status(**forged))
    await bench.run()
    assert len(bench.slots) == 1
    await bench.run(3600)

    status = bench.status("job")
    assert (status["state"], status["outcome"], status["reason"]) == ("DONE", "FAILED", "Lost")
    assert len(bench.slots) == 0
    assert bench.asked_elsewhere() == []


@pytest.mark.parametrize("deleted", [{}, {"deletionTimestamp": "2026-03-01T11:30:00Z"}])
async def test_a_runners_pod_of_another_namespace_is_never_a_claims(deleted):
    bench = Bench()
    theirs = raw_pod(uid="theirs", namespace="elsewhere", name="theirs")
    ended = {"exitCode": 0, "message": make_message("SSS"), "reason": SECRET_WORD}
    state = {"name": names.RUNNER_CONTAINER, "state": {"terminated": ended}}
    for status in ({"phase": "Running"}, {"phase": "Succeeded", "containerStatuses": [state]}):
        bench.api.put(STRANGE_POD, theirs | {"status": status})
        name = f"job-{status['phase'].lower()}"
        forged = working_status(claim=claim(podName="theirs", podUID="theirs"))
        raw = raw_job(name=name, uid=f"uid-of-{name}", status=forged, **deleted)
        bench.api.put(paths.job("pipelines", name), raw)
        await bench.run()
        await bench.run(3600)

        told = bench.status(name)
        assert (told["outcome"], told["reason"]) == ("FAILED", "Lost")
        assert SECRET_WORD not in str(told)
    assert bench.api.stored(STRANGE_POD) is not None
    assert bench.asked_elsewhere() == []


ODD = {
    "claim-text": {"claim": "mine"},
    "claim-list": {"claim": ["mine"]},
    "claim-numbers": {"claim": {"id": 3, "podName": 4, "podUID": 5}},
    "tasks-text": {"tasks": "abc"},
    "tasks-of-texts": {"tasks": ["a", "b"]},
    "tasks-object": {"tasks": {"a": 1}},
    "conditions-text": {"conditions": "no"},
    "conditions-of-lists": {"conditions": [[], []]},
    "state-number": {"state": 7},
    "state-list": {"state": []},
    "attempt-text": {"attempt": "first"},
    "attempt-negative": {"attempt": -3},
    "launch-list": {"launch": [1]},
    "sequence-object": {"sequence": {}},
    "time-60th-second": {"nextLaunchTime": "2026-01-01T23:59:60Z"},
    "time-year-0": {"nextLaunchTime": "0000-01-01T00:00:00Z"},
    "time-offset": {"nextLaunchTime": "2026-01-01T00:00:00+25:00"},
    "time-number": {"nextLaunchTime": 5},
    "job-id-list": {"jobId": ["x"]},
    "progress-number": {"progress": 9},
    "message-object": {"message": {"a": 1}},
    "hash-number": {"factfileHash": 1},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
async def test_an_odd_status_stops_neither_its_job_nor_others(odd):
    bench = Bench()
    bench.put("before", factfile={}, dryRun=True)
    bench.put("odd", status={"state": "QUEUED", "outcome": "WAITING"} | odd, factfile={})
    bench.put("later", factfile={}, dryRun=True)
    await bench.run()

    for name in ("before", "odd", "later"):
        assert bench.status(name)["reason"] == "InvalidFactfile"


@pytest.mark.parametrize(
    "odd",
    [{"tasks": "abc"}, {"tasks": ["a", "b"]}, {"tasks": {"a": 1}}, {"taskStates": 5}],
    ids=["text", "texts", "object", "number"],
)
async def test_odd_results_keep_no_failed_job_from_another_attempt(odd):
    bench = Bench()
    failed = done_status(outcome="FAILED", reason="TaskFailed") | odd
    bench.put("odd", status=failed, annotations={names.ANNOTATION_RESUME: "again"})
    await bench.run()

    assert (bench.status("odd")["attempt"], bench.status("odd")["reason"]) == (2, "InvalidFactfile")


@pytest.mark.parametrize("status", ["DONE", ["DONE"], 3], ids=["text", "list", "number"])
def test_a_status_that_is_no_object_is_none(status):
    job = FactotumJob.from_raw(raw_job() | {"status": status})

    assert (job.state, job.claim, job.attempt) == ("", None, 1)


@pytest.mark.parametrize(
    "progress", ["0/99999999999999999999", "0/9999999", "x/-1", "1/1e9", "3/"], ids=repr
)
def test_a_forged_progress_is_no_number_of_tasks(progress):
    job = FactotumJob.from_raw(raw_job(status=working_status(progress=progress)))

    assert job.total_tasks == 0


async def test_a_forged_progress_of_a_lost_run_costs_no_memory():
    bench = Bench()
    reference = {"configMapKeyRef": {"name": "none", "key": "k"}}
    forged = working_status(progress="0/99999999999999", tasks=[])
    bench.put("job", status=forged, factfileFrom=reference)
    await bench.run()
    await bench.run(3600)

    assert bench.status("job")["reason"] == "Lost"


def test_a_moment_with_any_spelling_is_read_or_none():
    assert parse_time("2026-03-01t12:00:00z") == NOW
    assert parse_time("2026-03-01T12:00:00") == NOW
    assert parse_time("tomorrow") is None
    assert parse_time(17) is None


# --- objects that cannot be read at all ---------------------------------------------------


async def test_an_object_that_cannot_be_read_keeps_no_other_from_being_seen(caplog):
    api, seen, arrived = MemoryApi(), [], asyncio.Event()
    for name in ("a", "odd", "z"):
        api.put(paths.item(paths.NODES, name), {"metadata": {"name": name}})

    def put(raw):
        if raw["metadata"]["name"] == "odd":
            raise KeyError(raw)
        seen.append(raw["metadata"]["name"])
        if raw["metadata"]["name"] == "new":
            arrived.set()

    target = Target(
        resource=paths.NODES, put=put, drop=lambda _: None, known=dict, version=lambda _: 0
    )
    reflector = Reflector(api, [paths.collection(paths.NODES)], target)
    await reflector.list()
    task = asyncio.create_task(reflector.run())
    api.put(paths.item(paths.NODES, "odd"), {"metadata": {"name": "odd"}})
    api.put(paths.item(paths.NODES, "new"), {"metadata": {"name": "new"}})
    async with asyncio.timeout(5):
        await arrived.wait()
    assert not task.done()
    task.cancel()

    assert seen == ["a", "z", "new"]
    assert "-/odd cannot be taken in" in caplog.text


class Stumbling:
    """A subscriber that breaks at everything."""

    def job_changed(self, job, *, is_gone):
        raise RuntimeError(job.name, is_gone)

    def pod_changed(self, pod):
        raise RuntimeError(pod.name)


class Hearing(Stumbling):
    """A subscriber that only hears."""

    def __init__(self):
        self.heard = []

    def job_changed(self, job, *, is_gone):
        self.heard.append((job.name, is_gone))

    def pod_changed(self, pod):
        self.heard.append(pod.name)


def test_a_subscriber_that_stumbles_keeps_no_other_from_hearing(caplog):
    cache, hearing = Cache(), Hearing()
    cache.subscribe(Stumbling())
    cache.subscribe(hearing)

    job = cache.put_job(raw_job())
    pod = cache.put_pod(raw_pod())
    cache.drop_job(job.uid)

    assert hearing.heard == [("nightly", False), pod.name, ("nightly", True)]
    assert caplog.text.count("Stumbling missed a change") == 3


# --- what is said -------------------------------------------------------------------------


def test_a_users_words_make_one_line_of_the_log():
    record = logging.LogRecord(
        "x", 20, "x", 1, "job %s: %s", ("a", "b\n[info] \x1b[2J\u2028é"), None
    )

    assert OneLine().filter(record)

    assert record.getMessage() == "job a: b\\n[info] \\x1b[2J\\u2028é"


def test_references_in_a_report_are_whole_text():
    payload = make_report().to_json().replace(b'"runReference":"', b'"runReference":"\\ud800')

    report = Report.from_json(payload)

    assert report.run_reference.startswith("?")
    assert report.run_reference.isascii()


async def test_a_factfile_of_another_namespace_is_read_by_no_name():
    bench = Bench()
    hidden = graph("hidden", **{SECRET_WORD: ()})
    bench.api.put(HIDDEN, {"metadata": {"name": "hidden"}, "data": {"k": hidden, "c": CHAIN}})
    names = ["../../elsewhere/configmaps/hidden", "..%2f..%2felsewhere%2fconfigmaps%2fhidden", ".."]
    for number, name in enumerate(names):
        reference = {"configMapKeyRef": {"name": name, "key": "k"}}
        bench.put(f"job-{number}", factfileFrom=reference)
    await bench.run()

    told = [bench.status(f"job-{number}") for number in range(len(names))]
    assert [status["reason"] for status in told] == ["InvalidFactfile"] * len(names)
    assert SECRET_WORD not in str(told)
    assert bench.asked_elsewhere() == []
