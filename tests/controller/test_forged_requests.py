"""What the desk and the token reviewer make of requests that try for more than is theirs.

Real: the whole controller but for its HTTP side, on an API server in memory.
"""

import pytest

from factotum.controller import assembly
from factotum.controller.claims.judging import NOT_ITS_OWN, Denied, Later
from factotum.controller.claims.keys import SigningKeys
from factotum.controller.claims.tokens import PodIdentity, TokenReviewer
from factotum.controller.clock import HeldClock
from factotum.controller.facts.cache import Cache
from factotum.controller.mirror.protocol import NoMirror
from factotum.controller.observe.hosts import Resolver
from factotum.controller.queue.slots import Slots
from factotum.controller.settings import Settings
from factotum.kube import names, paths
from factotum.kube.memory import MemoryApi
from support.builders.jobs import (
    JOB_UID,
    NOW,
    make_claim,
    make_report,
    raw_job,
    raw_pod,
    working_status,
)

ABSENT = "0f0f0f0f-1111-2222-3333-444444444444"
GUESSED = "g" * 32


class Bench:
    """A desk, and a job in ``pipelines`` whose Pod has claimed it or not."""

    def __init__(self, status=None):
        self.api, self.cache = MemoryApi(), Cache()
        self.parts = assembly.build(
            api=self.api,
            settings=Settings(),
            resolver=Resolver(1.0),
            cache=self.cache,
            slots=Slots(20),
            mirror=NoMirror(),
            clock=HeldClock(NOW),
        )
        self.api.put(paths.job("pipelines", "nightly"), raw_job(status=status))
        self.api.put(paths.pod("pipelines", raw_pod()["metadata"]["name"]), raw_pod())

    async def answers(self, namespace, uid, *, name="forged", **metadata):
        """Give what a Pod is told that asks for a job by its UID."""
        raw = raw_pod(uid="forged-uid", namespace=namespace, name=name, **metadata)
        raw["metadata"]["labels"][names.LABEL_JOB_UID] = uid
        for owner in raw["metadata"]["ownerReferences"]:
            owner["uid"] = uid
        self.api.put(paths.pod(namespace, name), raw)
        identity = PodIdentity(namespace=namespace, pod_name=name, pod_uid="forged-uid")
        request = make_claim(uid, claim_id=GUESSED)
        desk = self.parts.desk
        reports = [make_report(final=True), make_report(claim_id=GUESSED)]
        return [await desk.claim(request, identity)] + [
            await desk.report(uid, 1, report, identity) for report in reports
        ]


def owner(**fields):
    reference = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "name": "nightly",
        "controller": True,
    }
    return {"ownerReferences": [reference | fields]}


FORGED = {
    "as-ours": owner(),
    "no-owner": {"ownerReferences": []},
    "foreign-group": owner(apiVersion="nowhere.example/v1"),
    "other-name": owner(name="weekly"),
    "path-as-name": owner(name="../../pipelines/factotumjobs/nightly"),
    "no-label": {"labels": {}},
}


@pytest.mark.parametrize("namespace", ["pipelines", "elsewhere"])
@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
@pytest.mark.parametrize("status", [None, working_status()], ids=["unclaimed", "claimed"])
async def test_no_answer_tells_whether_a_job_exists(namespace, forged, status):
    bench = Bench(status)
    await bench.parts.sources.read_everything()

    there = await bench.answers(namespace, JOB_UID, **forged)
    absent = await bench.answers(namespace, ABSENT, **forged)

    assert there == absent == [NOT_ITS_OWN] * 3
    assert JOB_UID in bench.cache.jobs
    assert [r for r in bench.api.requests if ".." in r.path] == []


async def test_a_job_that_is_not_known_yet_is_kept_from_strangers_too():
    bench = Bench(working_status())

    for namespace in ("pipelines", "elsewhere"):
        assert await bench.answers(namespace, JOB_UID, **owner()) == [NOT_ITS_OWN] * 3


async def test_a_claim_id_of_any_characters_is_compared():
    bench = Bench(working_status(claim={"id": "é" * 32, "podName": "x", "podUID": "pod-uid-1"}))
    await bench.parts.sources.read_everything()
    name = raw_pod()["metadata"]["name"]
    identity = PodIdentity(namespace="pipelines", pod_name=name, pod_uid="pod-uid-1")
    request = make_claim()

    claimed = await bench.parts.desk.claim(request, identity)
    reported = await bench.parts.desk.report(JOB_UID, 1, make_report(claim_id="ü"), identity)

    assert isinstance(claimed, Denied | Later)
    assert isinstance(reported, Denied)


@pytest.mark.parametrize("token", ["\udcff\udcfe", "é", "e" * 20_000], ids=["bytes", "é", "huge"])
async def test_what_cannot_be_a_token_is_nobodys_without_a_question(token):
    api = MemoryApi()

    assert (
        await TokenReviewer(api, "x", SigningKeys(api, "x", HeldClock(NOW))).identify(token) is None
    )
    assert api.requests == []
