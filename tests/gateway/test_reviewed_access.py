"""Who may do what is asked of the cluster, remembered for seconds, and never guessed.

Real: the access that a server has in a cluster. The cluster's answers are written here; those of a
real one are in tests/cluster.
"""

import asyncio

import pytest

from factotum.gateway.access.protocol import Deed
from factotum.gateway.access.reviews import ReviewedAccess
from factotum.kube import errors

NAMESPACE = "pipelines"
AUDIENCE = "factotum-server"


class Cluster:
    """Answers reviews: who has which token, and who may do what."""

    def __init__(self):
        self.users = {"t1": "anna", "t2": "ben"}
        self.rights = {("anna", "create", "factotumjobs", ""), ("ben", "get", "pods", "log")}
        self.audiences = [AUDIENCE]
        self.asked = []
        self.failure = None
        self.pause = 0.0

    async def create(self, path, body):
        self.asked.append((path.rpartition("/")[2], body["spec"]))
        await asyncio.sleep(self.pause)
        if self.failure is not None:
            raise self.failure
        spec = body["spec"]
        if "token" in spec:
            name = self.users.get(spec["token"])
            status = {"authenticated": name is not None, "audiences": self.audiences}
            return {"status": status | {"user": {"username": name, "groups": ["g"]}}}
        wanted = spec["resourceAttributes"]
        right = (spec["user"], wanted["verb"], wanted["resource"], wanted["subresource"])
        return {"status": {"allowed": right in self.rights}}


@pytest.fixture
def cluster():
    return Cluster()


@pytest.fixture
def access(cluster):
    return ReviewedAccess(cluster, NAMESPACE, AUDIENCE)


async def status(access, token, deed):
    denial = await access.denial({"authorization": f"Bearer {token}"}, deed)
    return 200 if denial is None else denial.status


@pytest.mark.parametrize(
    ("token", "deed", "code"),
    [
        ("t1", Deed.SUBMIT, 200),
        ("t1", Deed.GET, 403),
        ("t1", Deed.LOOK, 200),
        ("t2", Deed.READ_LOG, 200),
        ("t2", Deed.SUBMIT, 403),
        ("t3", Deed.LOOK, 401),
        ("", Deed.LOOK, 401),
        ("x" * 20_000, Deed.LOOK, 401),
        ("\xe9", Deed.LOOK, 401),
    ],
)
async def test_rights_are_the_clusters(access, token, deed, code):
    assert await status(access, token, deed) == code


@pytest.mark.parametrize("headers", [{}, {"authorization": "Basic t1"}, {"authorization": "t1"}])
async def test_what_is_no_bearer_token_is_not_asked_about(access, cluster, headers):
    assert (await access.denial(headers, Deed.SUBMIT)).status == 401
    assert cluster.asked == []


async def test_it_asks_for_the_verb_and_the_namespace_in_question(access, cluster):
    await status(access, "t2", Deed.READ_LOG)
    (_, token), (_, right) = cluster.asked
    assert token == {"token": "t2", "audiences": [AUDIENCE]}
    assert right["groups"] == ["g"]
    assert right["resourceAttributes"] == {
        "namespace": NAMESPACE,
        "verb": "get",
        "group": "",
        "resource": "pods",
        "subresource": "log",
    }


@pytest.mark.parametrize("audiences", [[], None, ["another"]])
async def test_an_audience_that_nobody_checked_is_none(access, cluster, audiences):
    cluster.audiences = audiences
    assert await status(access, "t1", Deed.SUBMIT) == 401


async def test_answers_are_remembered_for_seconds(access, cluster):
    for _ in range(5):
        assert await status(access, "t1", Deed.SUBMIT) == 200
        assert await status(access, "nobody's", Deed.SUBMIT) == 401
    assert len(cluster.asked) == 3


async def test_answers_are_remembered_no_longer_than_that(cluster):
    access = ReviewedAccess(cluster, NAMESPACE, AUDIENCE, kept_seconds=-1.0)
    assert await status(access, "t1", Deed.SUBMIT) == 200
    cluster.rights.clear()
    assert await status(access, "t1", Deed.SUBMIT) == 403
    cluster.users.clear()
    assert await status(access, "t1", Deed.SUBMIT) == 401


async def test_what_is_remembered_is_bounded(access):
    for number in range(5000):
        await status(access, f"bad {number}", Deed.LOOK)
    assert len(access._callers._kept) == 4096


async def test_a_cluster_that_does_not_answer_lets_nobody_in_and_nothing_is_remembered(
    access, cluster
):
    cluster.failure = errors.UnreachableError("away")
    denial = await access.denial({"authorization": "Bearer t1"}, Deed.SUBMIT)
    assert (denial.status, denial.headers) == (503, [(b"retry-after", b"5")])
    cluster.failure = None
    assert await status(access, "t1", Deed.SUBMIT) == 200


async def test_a_flood_of_tokens_does_not_become_one_of_reviews(access, cluster):
    cluster.pause = 0.05
    flood = [status(access, f"bad {number}", Deed.LOOK) for number in range(1000)]
    codes = await asyncio.gather(*flood)
    assert codes.count(401) == 512
    assert codes.count(503) == 488
