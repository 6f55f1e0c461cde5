"""What the API server refuses by our schema, and with which path and words.

Real: the API server. Left out on purpose: what no schema can say (unknown dependencies,
conflicting codes, templates), which the controller refuses with the original's words.
"""

import pytest

from support.builders.manifests import SCHEMA, make_factfile, make_job, make_task
from support.cluster.kube_api import ApiRefusedError, jobs_path

pytestmark = pytest.mark.cluster

TASKS = "spec.factfile.data.tasks"
IN_RANGE = "should be less than or equal to 32767"


def broken(*tasks, **fields):
    return {"factfile": make_factfile(*tasks, **fields)}


def on_result(stop, go_on, **more):
    return {"onResult": {"terminateJobWithSuccess": stop, "continueJob": go_on} | more}


@pytest.mark.parametrize(
    ("spec", "path", "words"),
    [
        pytest.param(
            {"resources": {"limits": {"memory": "1 GB"}}},
            "spec.resources.limits.memory",
            "match",
            id="no-amount",
        ),
        pytest.param(
            {"resources": {"requests": {"cpu": "-1"}}},
            "spec.resources.requests.cpu",
            "match",
            id="less-than-nothing",
        ),
        pytest.param(
            {"serviceAccountName": "../kube-system"},
            "spec.serviceAccountName",
            "match",
            id="account-elsewhere",
        ),
        pytest.param(
            {"imagePullSecrets": [{"name": "a/b"}]},
            "spec.imagePullSecrets[0].name",
            "match",
            id="pull-secret-elsewhere",
        ),
        pytest.param(
            {"nodeSelector": {"disk": "a b"}}, "spec.nodeSelector.disk", "match", id="no-label"
        ),
        pytest.param(
            {"tolerations": [{"operator": "Like"}]},
            "spec.tolerations[0].operator",
            "Equal",
            id="no-operator",
        ),
        pytest.param({"podTemplate": "x"}, "spec.podTemplate", "object", id="no-template"),
        pytest.param(
            {"podTemplate": {"spec": {"affinity": {"nodeAffinity": {"required": {}}}}}},
            "spec.podTemplate.spec.affinity.nodeAffinity.required",
            "unknown field",
            id="no-field-of-a-pod",
        ),
        pytest.param(
            {"podTemplate": {"spec": {"containers": [{"image": "i"}]}}},
            "spec.podTemplate.spec.containers[0].name",
            "Required",
            id="a-container-without-a-name",
        ),
        pytest.param(
            {"factfileFrom": {}}, "spec.factfileFrom.configMapKeyRef", "Required", id="no-ref"
        ),
        pytest.param(
            {"factfile": {"schema": SCHEMA}}, "spec.factfile.data", "Required", id="no-data"
        ),
        pytest.param(
            {"factfile": {"schema": SCHEMA, "data": {"name": "x"}}},
            TASKS,
            "Required",
            id="no-tasks",
        ),
        pytest.param(
            {"factfile": {"schema": SCHEMA, "data": {"tasks": []}}},
            "spec.factfile.data.name",
            "Required",
            id="no-job-name",
        ),
        pytest.param(
            broken(schema="iglu:a/b/1-0-0"), "spec.factfile.schema", "match", id="bad-schema"
        ),
        pytest.param(
            broken(make_task(name=None)), f"{TASKS}[0].name", "Required", id="no-task-name"
        ),
        pytest.param(
            broken(make_task(command=None)), f"{TASKS}[0].command", "Required", id="no-command"
        ),
        pytest.param(
            broken(make_task(command=3)), f"{TASKS}[0].command", "string", id="command-type"
        ),
        pytest.param(
            broken(make_task(arguments="a")), f"{TASKS}[0].arguments", "array", id="arguments-type"
        ),
        pytest.param(
            broken(make_task(dependsOn=None)),
            f"{TASKS}[0].dependsOn",
            "Required",
            id="no-dependencies",
        ),
        pytest.param(
            broken(make_task(**on_result([], ["0"]))),
            f"{TASKS}[0].onResult.continueJob[0]",
            "integer",
            id="code-type",
        ),
        pytest.param(
            broken(make_task(**on_result([32768], [0]))),
            f"{TASKS}[0].onResult.terminateJobWithSuccess[0]",
            IN_RANGE,
            id="code-too-big",
        ),
        pytest.param(
            broken(make_task(**on_result([], [-1]))),
            f"{TASKS}[0].onResult.continueJob[0]",
            "greater than or equal to 0",
            id="code-negative",
        ),
        pytest.param(
            broken(make_task(**on_result([3], []))),
            f"{TASKS}[0].onResult.continueJob",
            "the task 'a' has no way to continue successfully.",
            id="no-way-to-continue",
        ),
        pytest.param(
            broken(make_task("a"), make_task("b"), make_task("a")),
            TASKS,
            "two tasks have the same name",
            id="name-twice",
        ),
        pytest.param(
            broken(make_task(color="red")), f"{TASKS}[0].color", "unknown field", id="unknown-field"
        ),
        pytest.param(
            broken(*(make_task(str(n)) for n in range(2001))),
            TASKS,
            "at most 2000",
            id="too-many-tasks",
        ),
        pytest.param(
            {"tags": {"a,b": "c"}}, "spec.tags", "must not contain a comma", id="tag-name-comma"
        ),
        pytest.param(
            {"tags": {"a": "b,c"}}, "spec.tags", "must not contain a comma", id="tag-value-comma"
        ),
        pytest.param(
            {"tags": {" a": "b"}}, "spec.tags", "begin or end with a blank", id="tag-name-blank"
        ),
        pytest.param(
            {"tags": {"a": "b "}}, "spec.tags", "begin or end with a blank", id="tag-value-blank"
        ),
        pytest.param({"tags": {"": "b"}}, "spec.tags", "a tag needs a name", id="tag-without-name"),
        pytest.param({"tags": {"a": 1}}, "spec.tags.a", "string", id="tag-value-type"),
        pytest.param({"env": {"a": ["b"]}}, "spec.env.a", "string", id="variable-nested"),
        pytest.param(
            {"webhook": {}}, "spec.webhook", "exactly one of url and urlFrom", id="no-url"
        ),
        pytest.param(
            {
                "webhook": {
                    "url": "http://x",
                    "urlFrom": {"secretKeyRef": {"name": "n", "key": "k"}},
                }
            },
            "spec.webhook",
            "exactly one of url and urlFrom",
            id="both-urls",
        ),
        pytest.param(
            {"webhook": {"url": "ftp://x"}}, "spec.webhook.url", "URL must begin with", id="url"
        ),
        pytest.param(
            {"envFrom": [{}]}, "spec.envFrom[0]", "exactly one of secretRef", id="no-source"
        ),
        pytest.param(
            {"scheduling": "Random"}, "spec.scheduling", "Unsupported value", id="scheduling"
        ),
        pytest.param({"retry": {"limit": -1}}, "spec.retry.limit", "greater than", id="retry"),
        pytest.param(
            {"activeDeadlineSeconds": 0}, "spec.activeDeadlineSeconds", "greater", id="deadline"
        ),
    ],
)
def test_a_broken_job_is_refused_with_its_path(asked, namespace, spec, path, words):
    with pytest.raises(ApiRefusedError) as refused:
        asked.create(f"{jobs_path(namespace)}?fieldValidation=Strict", make_job(namespace, **spec))

    said = str(refused.value).replace('"', "")
    assert path in said
    assert words in said


def test_a_job_needs_one_factfile_and_only_one(asked, namespace):
    reference = {"configMapKeyRef": {"name": "jobs", "key": "echo.factfile"}}
    both = make_job(namespace, factfileFrom=reference)
    both["spec"]["factfile"] = make_factfile()
    neither = make_job(namespace)
    del neither["spec"]["factfile"]

    for job in (both, neither):
        with pytest.raises(
            ApiRefusedError, match="exactly one of factfile and factfileFrom must be set"
        ):
            asked.create_job(job)
