"""What the figures cost: part of a millisecond a job, and to ask costs the same at any size.

Real: the cache and the figures. CPU time of this process, the best of some rounds, since others use
the machine too.
"""

import time

from prometheus_client import generate_latest

from factotum.controller.clock import SystemClock
from factotum.controller.facts.cache import Cache
from factotum.controller.metrics.keeping import Keeping
from factotum.controller.metrics.passing import CountedApi
from factotum.kube import names, paths
from support.builders.jobs import done_status, raw_job, raw_pod, working_status

JOBS = 400
MOST_SECONDS_A_JOB = 0.0002
REQUESTS = 12
"""Of a job: create, patches, reads, an Event, a TokenReview; twice what a good one has."""


class Quick:
    """An API that answers at once."""

    async def get(self, _):
        return {}

    async def create(self, _, __):
        return {}


def life_of(number):
    """Return what the cache is told of one job, from its creation to its end."""
    uid, name = f"uid-{number}", f"job-{number}"
    label = {"labels": {names.LABEL_JOB_UID: uid}, "uid": f"pod-{number}"}
    owner = {"apiVersion": names.API_VERSION, "kind": names.KIND, "name": name, "uid": uid}
    pod = {
        "name": names.pod_name(name, uid, 1, 1),
        "ownerReferences": [owner | {"controller": True}],
    } | label
    base = 10 * number + 1

    def job(step, status=None):
        return raw_job(status=status, uid=uid, name=name, resourceVersion=str(base + step))

    claim = {"id": f"{number:032}", "podUID": f"pod-{number}"}
    yield "job", job(0)
    for step in range(1, 4):
        yield "pod", raw_pod(resourceVersion=str(base + step), **pod)
    yield "job", job(4, working_status(claim=claim))
    yield "job", job(5, working_status(claim=claim, sequence=2))
    yield "job", job(6, done_status(claim=claim))
    yield "pod", raw_pod(resourceVersion=str(base + 7), status={"phase": "Succeeded"}, **pod)


def seconds_of(lives, *, measured):
    cache = Cache()
    if measured:
        Keeping(cache, SystemClock()).courses.begin()
    began = time.process_time()
    for kind, raw in lives:
        (cache.put_job if kind == "job" else cache.put_pod)(raw)
    return time.process_time() - began


async def seconds_of_requests():
    keeping = Keeping(Cache(), SystemClock())
    bare, path = Quick(), paths.job("pipelines", "nightly")
    counted = CountedApi(bare, keeping.figures)
    spent = []
    for api in (bare, counted):
        began = time.process_time()
        for _ in range(JOBS):
            for _ in range(REQUESTS // 2):
                await api.get(path)
                await api.create(path, {})
            keeping.figures.looked(0.01, "") if api is counted else None
        spent.append(time.process_time() - began)
    return spent[1] - spent[0]


async def test_a_job_costs_the_figures_a_fifth_of_a_millisecond_at_most():
    lives = [event for number in range(JOBS) for event in life_of(number)]
    with_figures = min(seconds_of(lives, measured=True) for _ in range(7))
    without = min(seconds_of(lives, measured=False) for _ in range(7))
    requests = min([await seconds_of_requests() for _ in range(5)])
    each = (with_figures - without + requests) / JOBS

    print(f"figures: {each * 1e6:.0f} microseconds of CPU a job")
    assert each < MOST_SECONDS_A_JOB


def test_ten_thousand_jobs_at_rest_make_the_figures_no_longer_and_no_slower():
    texts, seconds = [], []
    for count in (10, 10_000):
        cache = Cache()
        keeping = Keeping(cache, SystemClock())
        for number in range(count):
            uid = f"uid-{number}"
            cache.put_job(raw_job(status=done_status(), uid=uid, name=uid, resourceVersion="1"))
        rounds = []
        for _ in range(5):
            began = time.process_time()
            texts.append(generate_latest(keeping.figures.registry))
            rounds.append(time.process_time() - began)
        seconds.append(min(rounds))

    print(f"asking: {seconds[0] * 1e3:.1f} ms at 10 jobs, {seconds[1] * 1e3:.1f} ms at 10,000")
    assert b'factotum_jobs{outcome="SUCCEEDED",state="DONE"} 10000.0' in texts[-1]
    assert len(texts[-1].splitlines()) == len(texts[0].splitlines())
    assert seconds[1] < 0.05
