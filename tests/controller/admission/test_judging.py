"""What is answered about a job: every violation with its path, and what surprises. Tables.

Pure, but that the original's sentence must be the one that the controller would write.
"""

import copy
import json

import pytest

from factotum.controller.admission import judging
from factotum.controller.admission.judging import NoReviewError, Question
from factotum.controller.facts.observed import Refused
from factotum.controller.observe.factfile import accept
from factotum.controller.pod_template.judging import Bounds
from factotum.kube.resource import FactotumJob
from support.builders.manifests import make_factfile, make_job, make_task

TASKS = "spec.factfile.data.tasks"
AUDIENCE = "factotum-operator"


def task(name, *, after=(), terminate=(), proceed=(0,), **fields):
    codes = {"terminateJobWithSuccess": list(terminate), "continueJob": list(proceed)}
    return make_task(name, *after, onResult=codes, **fields)


def job(*tasks, **spec):
    made = make_job("default", make_factfile(*tasks))
    made["spec"] |= spec
    return made


def judged(raw, before=None):
    return judging.judge(Question("u", raw, before), Bounds(AUDIENCE))


def places(raw):
    """Return where something is wrong, without the first: that is everything."""
    found = judged(raw).violations
    assert found
    assert found[0][0] == "spec.factfile"
    return [path for path, _ in found[1:]]


def controllers_fact(raw):
    """Return what the controller makes of a job."""
    stored = {"uid": "u", "resourceVersion": "1", "creationTimestamp": "2030-01-01T00:00:00Z"}
    seen = FactotumJob.from_raw(raw | {"metadata": raw["metadata"] | stored})
    return accept(seen, json.dumps(raw["spec"]["factfile"]), seen.name)


def controllers_words(raw):
    """Return what the controller would write into the status."""
    fact = controllers_fact(raw)
    assert isinstance(fact, Refused)
    return fact.message


GOOD = job(task("a"), task("b", after=["a"]), start="b", env={"x": "1"})

WRONG = {
    "unknown dependency": (
        job(task("a"), task("b", after=["a", "nobody"])),
        {f"{TASKS}[1].dependsOn[1]": "'nobody', which is not defined in the factfile"},
    ),
    "a later task": (
        job(task("a", after=["b"]), task("b")),
        {f"{TASKS}[0].dependsOn[0]": "further down"},
    ),
    "a circle": (
        job(task("a", after=["c"]), task("b", after=["a"]), task("c", after=["b"])),
        {f"{TASKS}[0].dependsOn[0]": "none may wait for itself"},
    ),
    "itself": (
        job(task("a", after=["a"])),
        {f"{TASKS}[0].dependsOn[0]": "cannot depend on itself"},
    ),
    "a name twice, by templates": (
        job(task("{{x}}"), task("1"), env={"x": "1"}),
        {f"{TASKS}[1].name": "defined more than once"},
    ),
    "codes that conflict": (
        job(task("a", terminate=[0, 3], proceed=[3, 4])),
        {f"{TASKS}[0].onResult": "3 is in both lists"},
    ),
    "a template of a name": (
        job(task("{{#a}}", arguments=[]), env={"a": "b"}),
        {f"{TASKS}[0].name": ""},
    ),
    "templates of arguments": (
        job(task("a", arguments=["fine", "{{", "{{/x}}"])),
        {f"{TASKS}[0].arguments[1]": "", f"{TASKS}[0].arguments[2]": ""},
    ),
    "all at once": (
        job(
            task("a", after=["z"], terminate=[0], proceed=[0]),
            task("a", arguments=["{{#open}}"]),
            start="nowhere",
        ),
        {
            f"{TASKS}[0].onResult": "0 is in both lists",
            f"{TASKS}[0].dependsOn[0]": "'z'",
            f"{TASKS}[1].arguments[0]": "",
            f"{TASKS}[1].name": "more than once",
            "spec.start": "could not be found",
        },
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_everything_that_is_wrong_is_told_with_its_place(case):
    raw, expected = WRONG[case]
    found = dict(judged(raw).violations[1:])

    assert set(found) == set(expected)
    for path, words in expected.items():
        assert words in found[path]


@pytest.mark.parametrize("case", WRONG)
def test_the_first_words_are_those_that_the_controller_would_write(case):
    raw, _ = WRONG[case]

    assert judged(raw).violations[0] == ("spec.factfile", controllers_words(raw))


def test_a_good_job_may_be_and_nothing_is_said_about_it():
    assert judged(GOOD) == ([], [])


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ("nobody", "could not be found"),
        ("b", "without triggering prior tasks"),
    ],
)
def test_a_start_that_cannot_be_is_told_in_the_originals_words(start, words):
    tasks = task("a"), task("b"), task("c", after=["a", "b"])
    raw = job(*tasks, start=start)

    assert judged(raw).violations == [("spec.start", controllers_words(raw))]
    assert words in controllers_words(raw)


def test_a_shape_that_an_older_definition_let_in_is_told_with_every_place():
    raw = job(task("a"), task("b"))
    raw["spec"]["factfile"]["data"]["tasks"][0]["command"] = 5
    del raw["spec"]["factfile"]["data"]["tasks"][1]["onResult"]
    raw["spec"]["factfile"]["more"] = 1

    assert set(places(raw)) == {"spec.factfile", f"{TASKS}[0].command", f"{TASKS}[1]"}


def test_what_lies_in_a_config_map_is_left_to_the_controller():
    raw = make_job("default", factfileFrom={"configMapKeyRef": {"name": "x", "key": "y"}})

    assert judged(raw) == ([], [])


@pytest.mark.parametrize("tag", ["tag:t", "t"])
def test_tags_are_variables_as_they_are_for_the_runner(tag):
    raw = job(task("{{" + tag + "}}"), task("end", after=["x"]), tags={"t": "x"})

    assert bool(judged(raw).violations) is isinstance(controllers_fact(raw), Refused)


def test_a_job_that_is_stored_already_can_be_changed_and_deleted_whatever_it_is():
    raw, _ = WRONG["unknown dependency"]
    suspended = copy.deepcopy(raw)
    suspended["spec"]["desiredState"] = "Suspended"
    leaving = copy.deepcopy(raw)
    leaving["metadata"]["deletionTimestamp"] = "2030-01-01T00:00:00Z"

    assert judged(suspended, raw) == ([], [])
    assert judged(leaving) == ([], [])


def test_nobody_has_to_read_two_thousand_lines():
    raw = job(*[task(f"t{n}", after=["nobody"]) for n in range(2000)])
    found = judged(raw).violations
    message = judging.answer("u", judged(raw))["response"]["status"]["message"]

    assert len(found) == 51
    assert found[-1] == ("...", "and more")
    assert len(message) <= 16 * 1024


# --- what surprises -----------------------------------------------------------------------


def warned(raw, before=None):
    verdict = judged(raw, before)
    assert verdict.violations == []
    return verdict.warnings


TWO_SECRETS = {"x": "postgres://u:hunter2@h/d", "y": "AKIAABCDEFGHIJKLMNOP"}
A_KEY = {"k": "-----BEGIN RSA PRIVATE KEY-----\nhunter2"}
ODD = [task("s"), *[task(f"t{n}", executor="x") for n in range(3)]]
SURPRISING = {
    "an executor": (job(task("a", executor="python")), f"{TASKS}[0].executor: 'python'"),
    "executors": (job(*ODD), f"{TASKS}[1].executor and 2 more"),
    "a command": (job(task("a", command="echo {{x}}")), f"{TASKS}[0].command"),
    "by name": (job(task("a"), env={"DB_PASSWORD": "hunter2"}), "spec.env: DB_PASSWORD"),
    "by value": (job(task("a"), env=TWO_SECRETS), "spec.env: x (and 1 more)"),
    "a key": (job(task("a"), env=A_KEY), "spec.env: k"),
}


@pytest.mark.parametrize(("raw", "words"), SURPRISING.values(), ids=SURPRISING)
def test_what_is_legal_and_surprises_is_told(raw, words):
    (told,) = warned(raw)

    assert words in told
    assert "hunter2" not in told
    assert len(told) <= 240


@pytest.mark.parametrize(
    "env",
    [
        {"TOKEN_FILE": "/run/token"},
        {"SECRET_NAME": "pipeline"},
        {"PASSWORD": ""},
        {"url": "https://example.com:8443/a@b"},
        {"day": "2030-01-01"},
    ],
    ids=str,
)
def test_an_ordinary_variable_surprises_nobody(env):
    assert warned(job(task("a"), env=env)) == []


TOOLS = {
    "argocd.argoproj.io/instance": "Argo CD",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
    "meta.helm.sh/release-name": "Helm",
}


@pytest.mark.parametrize("mark", TOOLS)
@pytest.mark.parametrize("where", ["labels", "annotations"])
def test_a_clean_up_under_a_tool_that_makes_the_job_again_is_told(mark, where):
    raw = job(task("a"), ttlSecondsAfterFinished=60)
    raw["metadata"][where] = {mark: "x"}

    (told,) = warned(raw)
    assert told.startswith(f"spec.ttlSecondsAfterFinished: {TOOLS[mark]} ")
    del raw["spec"]["ttlSecondsAfterFinished"]
    assert warned(raw) == []


def test_a_change_is_told_only_what_is_new_by_it():
    raw = job(task("a", executor="odd"))
    raw["metadata"]["labels"] = {"argocd.argoproj.io/instance": "x"}
    with_ttl = copy.deepcopy(raw)
    with_ttl["spec"]["ttlSecondsAfterFinished"] = 5

    assert warned(raw, raw) == []
    assert len(warned(with_ttl, raw)) == 1
    assert warned(with_ttl, with_ttl) == []


# --- questions ----------------------------------------------------------------------------


def review(**request):
    request = {"uid": "u-1", "kind": {"kind": "FactotumJob"}, "object": GOOD} | request
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def test_the_answer_repeats_the_question_it_belongs_to():
    answer = judging.answer("u-1", judging.judge(judging.read(review()), Bounds(AUDIENCE)))

    assert answer == {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "response": {"uid": "u-1", "allowed": True},
    }


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "text",
        {},
        {"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1beta1"},
        {"kind": "Pod", "apiVersion": "v1"},
        review(uid=5),
        review(uid="x" * 200),
        review(object=[]),
        review(oldObject="x"),
        {**review(), "request": []},
    ],
    ids=lambda body: str(body)[:50],
)
def test_what_is_no_question_is_not_answered(body):
    with pytest.raises(NoReviewError):
        judging.read(body)


@pytest.mark.parametrize(
    "request_",
    [
        {"kind": {"kind": "Pod"}},
        {"kind": "FactotumJob"},
        {"kind": None},
        {"subResource": "status"},
        {"object": None, "oldObject": GOOD},
    ],
    ids=str,
)
def test_what_is_not_about_a_job_that_shall_be_may_be(request_):
    assert judging.judge(judging.read(review(**request_)), Bounds(AUDIENCE)) == ([], [])
