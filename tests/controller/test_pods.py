"""The Pod's manifest: what is in it, and what never is. Pure.

That the API server's ``restricted`` Pod Security lets it in is shown on a
real one; here is the list it checks.
"""

import json

import pytest

from factotum.controller.apply.manifest import build_runner_pod
from factotum.controller.facts.observed import AnyNode, OnNode
from factotum.controller.facts.pods import PodView
from factotum.controller.settings import Settings
from factotum.core.wire.variables import TERMINATION_PATH, TOKEN_PATH
from factotum.kube import names
from support.builders.jobs import DIGEST, JOB_UID, make_job, make_plan

SETTINGS = Settings(
    runner_image="registry.example/runner:1",
    claims_url="https://operator.example:8080",
    token_audience="the-operator",
)
SECRET = "s3cr3t"
SPEC = {
    "factfile": {"data": {"name": SECRET}},
    "env": {"password": SECRET},
    "tags": {"tag": SECRET},
    "start": SECRET,
}


def build(*, spec=None, host=None, status=None, **metadata):
    job = make_job(spec=spec or {"factfile": {}}, status=status, **metadata)
    return build_runner_pod(job, make_plan(), host or AnyNode(), SETTINGS, "CA")


def container(pod):
    (only,) = pod["spec"]["containers"]
    return only


def variables(pod):
    return {v["name"]: v.get("value", v.get("valueFrom")) for v in container(pod)["env"]}


def volume(pod, name):
    return next(v for v in pod["spec"]["volumes"] if v["name"] == name)


def test_nothing_of_the_factfile_or_its_variables_is_in_the_pod():
    pod = build_runner_pod(
        make_job(spec=SPEC), make_plan(SECRET, text=SECRET), AnyNode(), SETTINGS, "CA"
    )

    assert SECRET not in json.dumps(pod)


def test_the_pod_keeps_to_the_restricted_standard():
    pod = build()

    spec = pod["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 65532
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    context = container(pod)["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["readOnlyRootFilesystem"] is True
    assert {next(iter(set(v) - {"name"})) for v in spec["volumes"]} <= {"emptyDir", "projected"}
    assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()


def test_the_pod_has_no_credential_but_a_token_for_the_operator():
    spec = build()["spec"]

    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    (projected,) = [v["projected"] for v in spec["volumes"] if "projected" in v]
    (source,) = projected["sources"]
    assert source["serviceAccountToken"]["audience"] == "the-operator"
    assert source["serviceAccountToken"]["expirationSeconds"] == 3600


def test_the_pod_runs_once_and_tells_its_end():
    pod = build()

    assert pod["spec"]["restartPolicy"] == "Never"
    assert pod["spec"]["terminationGracePeriodSeconds"] == 30
    runner = container(pod)
    assert runner["name"] == "factotum"
    assert runner["command"] == ["factotum", "work"]
    assert runner["terminationMessagePolicy"] == "File"
    assert runner["terminationMessagePath"] == TERMINATION_PATH


def test_the_runner_is_told_which_attempt_it_may_claim_and_where():
    pod = build(status={"attempt": 2, "launch": 3})

    assert variables(pod) == {
        "FACTOTUM_OPERATOR_URL": "https://operator.example:8080",
        "FACTOTUM_OPERATOR_CA": "CA",
        "FACTOTUM_JOB_UID": JOB_UID,
        "FACTOTUM_ATTEMPT": "2",
        "FACTOTUM_LAUNCH": "3",
    }


def test_every_path_that_is_written_is_a_volume():
    pod = build()

    mounts = {m["mountPath"]: m["name"] for m in container(pod)["volumeMounts"]}
    empty = {v["name"] for v in pod["spec"]["volumes"] if "emptyDir" in v}
    assert container(pod)["workingDir"] == "/work"
    assert {mounts["/work"], mounts["/tmp"]} == empty
    place = next(path for path, name in mounts.items() if name == "token")
    (source,) = volume(pod, "token")["projected"]["sources"]
    assert f"{place}/{source['serviceAccountToken']['path']}" == TOKEN_PATH


def test_the_pod_is_known_as_its_jobs():
    pod = build(status={"attempt": 2, "launch": 3}, name="n" * 80)

    metadata = pod["metadata"]
    assert metadata["name"] == names.pod_name("n" * 80, JOB_UID, 2, 3)
    assert metadata["labels"][names.LABEL_JOB_UID] == JOB_UID
    assert metadata["labels"][names.LABEL_JOB_NAME] == "n" * 63
    (owner,) = metadata["ownerReferences"]
    assert (owner["uid"], owner["controller"], owner["kind"]) == (JOB_UID, True, "FactotumJob")
    assert metadata["annotations"][names.ANNOTATION_FACTFILE_HASH] == DIGEST
    assert metadata["annotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict"] == "false"


def test_the_controller_reads_its_own_pod():
    raw = build(status={"attempt": 2, "launch": 3})
    raw["metadata"] |= {"uid": "u", "resourceVersion": "5"}

    view = PodView.from_raw(raw)

    assert (view.job_uid, view.attempt, view.launch) == (JOB_UID, 2, 3)
    assert view.belongs_to(make_job())
    assert view.factfile_hash == DIGEST
    assert view.job_id == make_plan().job_id
    assert not view.ended


def test_env_from_goes_to_the_kubelet_unread_and_never_to_the_runner():
    sources = [
        {"secretRef": {"name": "creds"}},
        {"configMapRef": {"name": "vars"}, "prefix": "APP_"},
    ]

    pod = build(spec={"factfile": {}, "envFrom": sources})

    assert container(pod)["envFrom"] == [
        {"secretRef": {"name": "creds"}, "prefix": "FACTOTUM_TASK_"},
        {"configMapRef": {"name": "vars"}, "prefix": "FACTOTUM_TASK_APP_"},
    ]


def test_a_secret_webhook_address_goes_to_the_kubelet_unread():
    source = {"secretKeyRef": {"name": "hook", "key": "url"}}

    pod = build(spec={"factfile": {}, "webhook": {"urlFrom": source}})

    assert variables(pod)["FACTOTUM_WEBHOOK_URL"] == source


def test_a_plain_webhook_address_is_not_in_the_pod():
    pod = build(spec={"factfile": {}, "webhook": {"url": "http://hook.example"}})

    assert "hook.example" not in json.dumps(pod)


def test_a_deadline_is_the_pods_own():
    assert (
        build(spec={"factfile": {}, "activeDeadlineSeconds": 60})["spec"]["activeDeadlineSeconds"]
        == 60
    )
    assert "activeDeadlineSeconds" not in build()["spec"]


@pytest.mark.parametrize(
    ("host", "placed"),
    [
        pytest.param(AnyNode(), {}, id="anywhere"),
        pytest.param(
            OnNode(name="node-a", label="host-a"),
            {"nodeSelector": {"kubernetes.io/hostname": "host-a"}},
            id="by label",
        ),
        pytest.param(
            OnNode(name="node-a", label=None),
            {
                "affinity": {
                    "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": {
                            "nodeSelectorTerms": [
                                {
                                    "matchFields": [
                                        {
                                            "key": "metadata.name",
                                            "operator": "In",
                                            "values": ["node-a"],
                                        }
                                    ]
                                }
                            ]
                        }
                    }
                }
            },
            id="by name",
        ),
    ],
)
def test_a_constraint_places_the_pod(host, placed):
    spec = build(host=host)["spec"]

    assert {k: spec[k] for k in ("nodeSelector", "affinity") if k in spec} == placed
