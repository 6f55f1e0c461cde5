"""Pods and tokens that are not a job's own, at the claims port: all refused, none told anything.

Real: the API server with our chart, the operator's process, tokens bound to real Pods, and users
who may do nothing but create Pods and their tokens in one namespace. Each forgery is tried on a
job that is there and on one that is not: the answers must be the same.
"""

import base64
import copy
import json

import pytest

from support.builders.manifests import make_factfile, make_task
from support.cluster.kube_api import jobs_path, pods_path
from support.cluster.people import PODS_ONLY, SECRET_WORD, TOKENS, Person
from support.cluster.pod_side import PodSide, bound_token

pytestmark = pytest.mark.cluster

GROUP = "factotum.snowplowanalytics.com"
CLAIM, GUESSED = "f" * 32, "g" * 32
ABSENT = "0f0f0f0f-1111-2222-3333-444444444444"
SECRET = make_factfile(make_task("a", command=SECRET_WORD))

FOREIGN_GROUP = {"apiVersion": "nowhere.example/v1"}
OTHER_KIND = {"kind": "Job"}
NO_CONTROLLER = {"controller": False}
OTHER_NAME = {"name": "elsewhere"}
PATH_AS_NAME = {"name": "../../kube-system/factotumjobs/job"}

FORGERIES = {
    "plain": None,
    "label": [],
    "our-owner": [{}],
    "foreign-group": [FOREIGN_GROUP],
    "group-alike": [{"apiVersion": f"{GROUP}.example/v1alpha1"}],
    "other-kind": [OTHER_KIND],
    "no-controller": [NO_CONTROLLER],
    "other-name": [OTHER_NAME],
    "path-as-name": [PATH_AS_NAME],
    "other-uid": [{"uid": "99999999-1111-2222-3333-444444444444"}],
    "two-owners": [NO_CONTROLLER, FOREIGN_GROUP | {"uid": "88888888-1111-2222-3333-444444444444"}],
}


def forge(real, namespace, name, uid, changes):
    """Make a Pod that looks like a job's, with owners that are changed."""
    metadata = copy.deepcopy(real["metadata"])
    labels = metadata["labels"] | {f"{GROUP}/job-uid": uid}
    owner = metadata["ownerReferences"][0] | {"uid": uid, "blockOwnerDeletion": False}
    return {
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {} if changes is None else labels,
            "annotations": metadata["annotations"],
            "ownerReferences": [owner | change for change in changes or ()],
        },
        "spec": {
            "nodeName": "fake-3",
            "containers": [
                {
                    "name": "factotum",
                    "image": "none",
                    "env": [
                        {"name": "FACTOTUM_JOB_UID", "value": uid},
                        {"name": "FACTOTUM_ATTEMPT", "value": "1"},
                        {"name": "FACTOTUM_LAUNCH", "value": "1"},
                    ],
                }
            ],
        },
    }


REFUSED = (410, {"error": "the Pod is not this job's"})
GONE = (410, {"error": "the Pod is gone or being deleted"})


def answers(forged):
    """Give all that the claims port says to a Pod.

    The garbage collector may take it away meanwhile, since its owner is none of its namespace.
    """
    told = [
        forged.claim(GUESSED),
        forged.report(GUESSED, 3, "S", final=True),
        forged.report(CLAIM, 3, "S", final=True),
        forged.report(CLAIM, 2, "R"),
    ]
    return [REFUSED if answer == GONE else answer for answer in told]


class Forger:
    """Makes forged Pods in a namespace, as somebody who may do no more there."""

    def __init__(self, bench, operator, real, namespace):
        self._admin, self._operator, self._real = bench.api, operator, real
        self._namespace, self._count = namespace, 0
        self.person = Person(bench.api, namespace, "forger", PODS_ONLY, TOKENS)

    def answers(self, uid, changes, name=""):
        """Have a Pod made and give what it is told."""
        self._count += 1
        name = name or f"forged-{self._count}"
        manifest = forge(self._real, self._namespace, name, uid, changes)
        pod = self.person.create(pods_path(self._namespace), manifest)
        try:
            return answers(PodSide(self.person, pod, self._operator.claims))
        finally:
            self._admin.delete(pods_path(self._namespace, name), grace=0)


def check_refused(told):
    assert told == [REFUSED] * len(told)


@pytest.fixture
def at_work(bench):
    """An operator with one worker, and the true Pod of a job that waits to be claimed."""
    with bench.operator(f"--namespace={bench.namespace[:50]}-victim", "--max-workers=1") as made:
        uid = bench.create_by_hand(SECRET)
        real = bench.api.wait_pod(bench.namespace, uid)
        yield made, uid, real, bench.pod_side_of(made, real)
        assert "Traceback" not in made.log.read_text()


def finish(bench, pod, *, claimed=False):
    """Have the true Pod do its job, whatever was tried before."""
    if not claimed:
        assert pod.claim(CLAIM)[0] == 200
    assert bench.status()["state"] == "WORKING"
    assert pod.report(CLAIM, 9, "S", final=True)[0] == 200
    assert bench.done()["outcome"] == "SUCCEEDED"


def test_pods_of_another_namespace_are_refused_whatever_they_say_of_themselves(
    bench, victim, at_work
):
    operator, uid, real, pod = at_work
    forger = Forger(bench, operator, real, victim)
    names = {"": "forged", real["metadata"]["name"]: "the true name"}
    for name in names:
        for changes in FORGERIES.values():
            there = forger.answers(uid, changes, name)
            check_refused(there)
            assert forger.answers(ABSENT, changes, name) == there

    finish(bench, pod)


def test_pods_of_its_namespace_that_pose_as_a_jobs_are_refused(bench, at_work):
    operator, uid, real, pod = at_work
    forger = Forger(bench, operator, real, bench.namespace)
    next_launch = real["metadata"]["name"].replace("-1-1-", "-1-01-")
    for name in ("", next_launch):
        for changes in FORGERIES.values():
            there = forger.answers(uid, changes, name)
            check_refused(there)
            assert forger.answers(ABSENT, changes, name) == there

    finish(bench, pod)


def test_reports_on_a_claim_of_another_pod_are_refused_though_its_id_is_known(
    bench, victim, at_work
):
    operator, uid, real, pod = at_work
    assert pod.claim(CLAIM)[0] == 200
    before = bench.status()
    for namespace in (bench.namespace, victim):
        forger = Forger(bench, operator, real, namespace)
        for changes in (None, [], [{}]):
            there = forger.answers(uid, changes)
            check_refused(there)
            assert forger.answers(ABSENT, changes) == there

    assert bench.status() == before
    finish(bench, pod, claimed=True)


def test_tokens_that_are_not_a_living_pods_for_this_operator_are_refused(bench, victim, at_work):
    _, uid, real, pod = at_work
    person = Person(bench.api, victim, "somebody", PODS_ONLY, TOKENS)
    gone = person.create(pods_path(victim), forge(real, victim, "gone", uid, [{}]))
    token_of_gone = bound_token(person, gone)
    bench.api.delete(pods_path(victim, "gone"), grace=0)
    head, payload, signature = pod.token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    late = b64(json.dumps(claims | {"exp": 1}).encode())
    unsigned = b64(b'{"alg":"none"}')
    tokens = {
        "of another audience": bound_token(bench.api, real, "https://kubernetes.default.svc"),
        "of the default audience": person.token,
        "of an account without a Pod": plain_token(bench.api, bench.namespace),
        "of an account without a Pod elsewhere": plain_token(bench.api, victim),
        "of a Pod that is gone": token_of_gone,
        "of the operator itself": bench.installation.token,
        "with another payload": f"{head}.{late}.{signature}",
        "without a signature": f"{unsigned}.{payload}.",
        "cut": pod.token[:-20],
        "of another scheme": "Basic Zm9vOmJhcg==",
        "garbage": "\xff\xfe not a token",
        "a path": "../../api/v1/secrets",
        "huge": "e" * 7000,
        "empty": "",
    }
    told = {}
    for kind, token in tokens.items():
        for target in (uid, ABSENT):
            claim = f"/v1/claims/{target}/1/1", json.dumps({"claim": CLAIM}).encode()
            report = f"/v1/reports/{target}/1", b"{}"
            told[kind, target] = [pod.post(*claim, token), pod.post(*report, token)]

    # Its signature is good still, so it is the Pod that is looked for: that is told to anybody.
    of_gone = [told.pop(("of a Pod that is gone", target)) for target in (uid, ABSENT)]
    assert of_gone[0] == of_gone[1]
    assert of_gone[0][0] == (410, {"error": "the Pod is gone or being deleted"})
    assert of_gone[0][1][0] == 400
    answer = {"error": "the token is not one of a Pod for this operator"}
    assert {key: value for key, value in told.items() if value != [(401, answer)] * 2} == {}
    finish(bench, pod)


def test_forged_pods_hold_no_worker_and_are_left_alone(bench, victim, at_work):
    operator, uid, real, pod = at_work
    person = Person(bench.api, victim, "somebody", PODS_ONLY)

    def forge_all(target):
        for number, changes in enumerate(FORGERIES.values()):
            name = f"{number}-{target[:4]}"
            person.create(pods_path(victim), forge(real, victim, name, target, changes))

    forge_all(uid)
    finish(bench, pod)
    bench.api.delete(pods_path(bench.namespace, pod.name), grace=0)
    second = bench.pod_side(operator, bench.create_by_hand(name="second"))

    assert second.claim(GUESSED)[0] == 200
    operator.kill()
    operator.start()
    operator.wait_ready()
    assert second.report(GUESSED, 3, "S", final=True)[0] == 200
    bench.api.delete(pods_path(bench.namespace, second.name), grace=0)
    forge_all(ABSENT)
    third = bench.pod_side(operator, bench.create_by_hand(name="third"))
    assert third.claim(CLAIM)[0] == 200
    bench.api.wait_state(bench.namespace, "second", "DONE", outcome="SUCCEEDED")
    left = [p for p in bench.api.items(pods_path(victim)) if "deletionTimestamp" in p["metadata"]]
    assert [p["metadata"]["name"] for p in left if not owned(p)] == []
    assert bench.api.find(jobs_path(bench.namespace, "third"))


def owned(pod):
    """Tell whether the garbage collector takes a Pod: its owner is not in its namespace."""
    return bool(pod["metadata"].get("ownerReferences"))


def plain_token(api, namespace):
    request = {"spec": {"audiences": ["factotum-operator"]}}
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token"
    return str(api.create(path, request)["status"]["token"])


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
