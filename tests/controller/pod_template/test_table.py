"""The table of merges and refusals, by the functions that merge and refuse. Pure.

That a real API server takes the Pods, and a user is told of the rest, is shown on one.
"""

import pytest

from factotum.controller.admission import judging as admission
from factotum.controller.apply.manifest import build_runner_pod
from factotum.controller.decide.table import decide
from factotum.controller.facts.observed import AnyNode
from factotum.controller.pod_template import judging
from factotum.controller.settings import Settings
from support.builders.jobs import NOW, brief, make_job, make_plan, make_pod, observed
from support.builders.manifests import make_job as make_manifest
from support.pod_templates import refusals_for_truth
from support.pod_templates.table import MERGES, MISSHAPEN, REFUSALS

AUDIENCE = "factotum-operator"


def named(rows):
    return [pytest.param(row, id=row.name) for row in rows]


def built(spec, host, settings=None):
    job = make_job(spec={"factfile": {}} | spec)
    return build_runner_pod(job, make_plan(), host, settings or Settings(), "CA")


@pytest.mark.parametrize("row", named(MERGES))
def test_what_may_be_asked_shows_in_the_pod(row):
    assert judging.objection(row.spec, judging.Bounds(AUDIENCE)) == ""
    assert row.found(built(row.spec, row.host)) == row.expected


@pytest.mark.parametrize("row", named((*REFUSALS, *MISSHAPEN)))
def test_what_may_not_be_asked_is_told_with_its_field_and_a_cure(row):
    ((path, words),) = judging.of_job(row.spec, judging.Bounds(AUDIENCE))

    assert path == row.path
    assert row.words in words


@pytest.mark.parametrize("row", named(REFUSALS))
def test_a_job_that_asks_for_it_is_refused_before_it_has_a_pod_and_afterwards(row):
    unfit = judging.objection(row.spec, judging.Bounds(AUDIENCE))
    job = make_job(spec={"factfile": {}} | row.spec)

    for pods in ((), (make_pod(),)):
        decision = decide(observed(job, *pods, unfit=unfit), NOW)
        assert brief(decision)["patch"] == "DONE/FAILED InvalidPodTemplate"
        assert decision.patch["message"] == unfit


def test_many_objections_are_told_in_part():
    fields = dict.fromkeys(("hostNetwork", "hostPID", "hostIPC", "a", "b", "c", "d"), True)

    told = judging.objection({"podTemplate": {"spec": fields}}, judging.Bounds(AUDIENCE))

    assert told.count("leave it out") == 5
    assert told.endswith("; and more")


def test_admission_tells_of_the_factfile_and_the_template_at_once():
    raw = make_manifest("default", podTemplate={"spec": {"hostPID": True}})
    raw["spec"]["factfile"]["data"]["tasks"] = [{}]

    found = admission.judge(admission.Question("u", raw, None), judging.Bounds(AUDIENCE)).violations

    assert found[0][0] == "spec.factfile"
    assert found[-1][0] == "spec.podTemplate.spec.hostPID"


def test_what_is_stored_already_is_not_judged_again():
    raw = make_manifest("default", podTemplate={"spec": {"hostPID": True}})

    assert admission.judge(admission.Question("u", raw, raw), judging.Bounds(AUDIENCE)) == ([], [])


def test_a_factfile_that_is_too_large_keeps_no_template_from_being_judged():
    raw = make_manifest("default", podTemplate={"spec": {"hostPID": True}})
    raw["spec"]["factfile"]["data"]["name"] = "x" * (1024 * 1024)

    verdict = admission.judge(admission.Question("u", raw, None), judging.Bounds(AUDIENCE))

    assert [path for path, _ in verdict.violations] == ["spec.podTemplate.spec.hostPID"]


# --- defaults of all jobs ---


DEFAULTS = (
    {
        "spec": {
            "containers": [
                {"name": "factotum", "resources": {"limits": {"memory": "1Gi", "cpu": "1"}}}
            ]
        }
    },
    {
        "metadata": {"labels": {"team": "all", "site": "x"}},
        "spec": {
            "serviceAccountName": "default-of-all",
            "nodeSelector": {"pool": "jobs"},
            "imagePullSecrets": [{"name": "registry"}],
            "containers": [
                {
                    "name": "factotum",
                    "securityContext": {"readOnlyRootFilesystem": False},
                    "env": [{"name": "SITE", "value": "x"}, {"name": "TEAM", "value": "all"}],
                    "envFrom": [{"configMapRef": {"name": "site"}}],
                }
            ],
            "initContainers": [{"name": "log", "image": "log:1", "restartPolicy": "Always"}],
        },
    },
)


def test_defaults_come_before_what_a_job_says():
    spec = {
        "serviceAccountName": "own",
        "resources": {"limits": {"memory": "2Gi"}},
        "imagePullSecrets": [{"name": "own"}],
        "envFrom": [{"secretRef": {"name": "creds"}}],
        "podTemplate": {
            "metadata": {"labels": {"team": "data"}},
            "spec": {
                "nodeSelector": {"disk": "ssd"},
                "containers": [
                    {"name": "factotum", "env": [{"name": "TEAM", "value": "$(SITE)-data"}]}
                ],
                "initContainers": [{"name": "log", "image": "log:2"}],
            },
        },
    }
    pod = built(spec, judging_host(), Settings(runner_templates=DEFAULTS))

    container = pod["spec"]["containers"][0]
    labels = pod["metadata"]["labels"]
    assert (labels["team"], labels["site"]) == ("data", "x")
    assert pod["spec"]["serviceAccountName"] == "own"
    assert pod["spec"]["nodeSelector"] == {"pool": "jobs", "disk": "ssd"}
    assert [s["name"] for s in pod["spec"]["imagePullSecrets"]] == ["registry", "own"]
    assert container["resources"]["limits"] == {"memory": "2Gi", "cpu": "1"}
    assert container["securityContext"]["readOnlyRootFilesystem"] is False
    assert [e.get("secretRef") for e in container["envFrom"]] == [None, {"name": "creds"}]
    assert {v["name"]: v["value"] for v in container["env"][-2:]} == {
        "FACTOTUM_TASK_SITE": "x",
        "FACTOTUM_TASK_TEAM": "$(FACTOTUM_TASK_SITE)-data",
    }
    (log,) = pod["spec"]["initContainers"]
    assert (log["image"], log["restartPolicy"]) == ("log:2", "Always")


def judging_host():
    return MERGES[0].host


def test_a_job_takes_no_default_of_resources_apart():
    job = built({}, judging_host(), Settings(runner_templates=DEFAULTS))
    container = job["spec"]["containers"][0]

    assert container["resources"] == {"limits": {"memory": "1Gi", "cpu": "1"}}


@pytest.mark.parametrize(
    "template",
    [
        {"spec": {"securityContext": {"runAsUser": 0, "runAsNonRoot": False}}},
        {"spec": {"hostNetwork": True, "volumes": [{"name": "d", "hostPath": {"path": "/d"}}]}},
        {
            "spec": {
                "priorityClassName": "system-node-critical",
                "containers": [
                    {
                        "name": "factotum",
                        "securityContext": {"capabilities": {"add": ["SYS_PTRACE"]}},
                    }
                ],
            }
        },
    ],
    ids=["root", "host", "privileges"],
)
def test_defaults_may_loosen_what_a_job_may_not(template):
    assert list(judging.violations(template, judging.Bounds(AUDIENCE), is_default=True)) == []
    assert list(judging.violations(template, judging.Bounds(AUDIENCE))) != []


@pytest.mark.parametrize("row", named((*refusals_for_truth.ROWS, *MISSHAPEN)))
def test_what_keeps_the_truth_no_default_may_change_either(row):
    template = row.spec["podTemplate"]

    assert [
        p for p, _ in judging.violations(template, judging.Bounds(AUDIENCE), is_default=True)
    ] == [row.path]


LOOSE = {
    "spec": {
        "initContainers": [
            {"name": "mesh", "image": "mesh:1", "securityContext": {"privileged": True}},
            {"name": "tidy", "image": "tidy:1"},
        ]
    }
}


def test_a_container_to_which_the_defaults_give_more_is_no_jobs_to_change():
    bounds = judging.bounds_of(AUDIENCE, (LOOSE,))
    own = {"spec": {"initContainers": [{"name": "mesh", "image": "evil", "command": ["sh"]}]}}

    assert bounds.reserved == {"mesh"}
    told = judging.objection({"podTemplate": own}, bounds)
    assert told.startswith("spec.podTemplate.spec.initContainers[0].name: the operator's defaults")
    own["spec"]["initContainers"][0]["name"] = "tidy"
    assert judging.objection({"podTemplate": own}, bounds) == ""


def test_defaults_that_take_the_security_context_away_fit_an_image_of_ones_own_too():
    bare = {"spec": {"containers": [{"name": "factotum", "securityContext": None}]}}
    assert list(judging.violations(bare, judging.Bounds(AUDIENCE), is_default=True)) == []
    job = make_job(spec={"factfile": {}, "image": "tools:1"})

    pod = build_runner_pod(job, make_plan(), AnyNode(), Settings(runner_templates=(bare,)), "CA")

    copying = pod["spec"]["initContainers"][0]
    assert copying["securityContext"]["allowPrivilegeEscalation"] is False
