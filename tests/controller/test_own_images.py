"""A job in an image of its own: its Pod, and what is told when that does not start. Pure."""

import pytest

from factotum.controller.apply.injection import mounts_image
from factotum.controller.apply.manifest import build_runner_pod
from factotum.controller.decide.table import decide
from factotum.controller.facts.nodes import NodeView
from factotum.controller.facts.observed import AnyNode, OnNode
from factotum.controller.facts.pods import PodView, Terminated
from factotum.controller.settings import Settings
from factotum.core.wire import variables
from support.builders.jobs import NOW, make_job, make_plan, make_pod, observed, raw_pod

SETTINGS = Settings(
    runner_image="registry.example/runner:1",
    runner_image_pull_policy="Always",
    claims_url="https://operator.example:8080",
)
OWN = {"factfile": {}, "image": "registry.example/tools:7"}


def build(**more):
    job = make_job(spec=OWN | more)
    return build_runner_pod(job, make_plan(), AnyNode(), SETTINGS, "CA")["spec"]


def built_for_the_runners_image(**more):
    job = make_job(spec={"factfile": {}} | more)
    return build_runner_pod(job, make_plan(), AnyNode(), SETTINGS, "CA")["spec"]


def without(mapping, *names):
    return {name: value for name, value in mapping.items() if name not in names}


def test_without_an_image_nothing_is_brought_along():
    assert "initContainers" not in built_for_the_runners_image()


def test_the_job_runs_in_its_image_and_is_else_as_any_other():
    spec, usual = build(), built_for_the_runners_image()

    (container,), (like,) = spec["containers"], usual["containers"]
    assert container["image"] == "registry.example/tools:7"
    # The kubelet's own choice fits the tag.
    assert "imagePullPolicy" not in container
    changed = ("image", "imagePullPolicy", "command", "volumeMounts", "env")
    assert without(container, *changed) == without(like, *changed)
    assert container["volumeMounts"][:-1] == like["volumeMounts"]
    changed = ("containers", "initContainers", "volumes")
    assert without(spec, *changed) == without(usual, *changed)
    assert spec["volumes"][:-1] == usual["volumes"]


def test_the_runners_image_brings_the_runner_under_the_same_restrictions():
    spec = build()
    (first,), (container,) = spec["initContainers"], spec["containers"]

    assert (first["image"], first["imagePullPolicy"]) == ("registry.example/runner:1", "Always")
    assert first["securityContext"] == container["securityContext"]
    # It asks for no more than the job's container does: so the Pod needs no more room.
    assert first["resources"] == container["resources"]
    assert {"env", "envFrom"}.isdisjoint(first)


def test_what_was_brought_is_all_that_the_job_gets_of_it_and_cannot_be_changed():
    spec = build()
    (first,), (container,) = spec["initContainers"], spec["containers"]
    (brought,) = first["volumeMounts"]

    assert spec["volumes"][-1] == {"name": brought["name"], "emptyDir": {}}
    assert container["volumeMounts"][-1] == brought | {"readOnly": True}
    assert container["command"] == ["sh", f"{brought['mountPath']}/launch", "work"]


SECRET = {"secretKeyRef": {"name": "hook", "key": "url"}}


@pytest.mark.parametrize(
    ("more", "url"),
    [({}, {"value": ""}), ({"webhook": {"urlFrom": SECRET}}, {"valueFrom": SECRET})],
    ids=["no URL", "one from a Secret"],
)
def test_no_variable_of_the_image_stands_for_one_that_is_not_given(more, url):
    (container,) = build(**more)["containers"]
    (like,) = built_for_the_runners_image(**more)["containers"]

    given = {v["name"]: v for v in container["env"]}
    assert set(given) == set(variables.OURS)
    assert given["FACTOTUM_WEBHOOK_URL"] == {"name": "FACTOTUM_WEBHOOK_URL"} | url
    assert {v["value"] for v in container["env"][len(like["env"]) :]} == {""}


def test_variables_of_the_job_are_kept_apart_as_ever():
    source = {"secretRef": {"name": "creds"}, "prefix": "DB_"}

    (container,) = build(envFrom=[source])["containers"]

    assert container["envFrom"] == [source | {"prefix": "FACTOTUM_TASK_DB_"}]


def mounted(**more):
    job = make_job(spec=OWN | more)
    pod = build_runner_pod(job, make_plan(), AnyNode(), SETTINGS, "CA", mounts_image=True)
    return pod["spec"]


def test_where_images_can_be_mounted_nothing_is_copied():
    spec, copied = mounted(), build()

    assert "initContainers" not in spec
    volume = {"reference": "registry.example/runner:1", "pullPolicy": "Always"}
    assert spec["volumes"][-1] == {"name": "factotum", "image": volume}
    (container,), (like,) = spec["containers"], copied["containers"]
    # Only the folder, not the rest of our image.
    (source,) = (c["command"][-2] for c in copied["initContainers"])
    mount = like["volumeMounts"][-1] | {"subPath": source.strip("/.")}
    assert container["volumeMounts"] == [*like["volumeMounts"][:-1], mount]
    assert without(container, "volumeMounts") == without(like, "volumeMounts")


def node(kubelet="v1.35.4", runtime="containerd://2.2.9", name="a"):
    info = {"kubeletVersion": kubelet, "containerRuntimeVersion": runtime}
    metadata = {"name": name, "uid": "u", "resourceVersion": "1"}
    return NodeView.from_raw({"metadata": metadata, "status": {"nodeInfo": info}})


@pytest.mark.parametrize(
    ("kubelet", "runtime", "can"),
    [
        ("v1.35.4", "containerd://2.2.9", True),
        ("v1.36.0-gke.100", "containerd://2.10.0+unknown", True),
        ("v1.35.0+k3s1", "containerd://2.2.0-k3s1", True),
        ("v2.0.0", "containerd://3.0.1", True),
        ("v1.35.1", "cri-o://1.35.0", True),
        ("v1.34.9", "containerd://2.2.9", False),
        ("v1.35.4", "containerd://2.1.6", False),
        ("v1.35.4", "containerd://1.7.29", False),
        ("v1.35.4", "cri-o://1.32.5", False),
        ("v1.35.4", "docker://29.0.0", False),
        ("v1.35.4", "mystery", False),
        ("", "", False),
        ("v1", "containerd://", False),
        ("v1.35.4", "containerd://2", False),
    ],
)
def test_a_node_mounts_images_by_the_versions_that_it_tells(kubelet, runtime, can):
    assert node(kubelet, runtime).mounts_images is can


def test_a_node_that_tells_nothing_of_itself_mounts_no_images():
    assert not NodeView.from_raw({"metadata": {"name": "a", "uid": "u"}}).mounts_images


NEW, OLD = node(name="new"), node("v1.34.1", name="old")
TO_NEW, TO_OLD, TO_GONE = (OnNode(name=n, label=n) for n in ("new", "old", "gone"))


@pytest.mark.parametrize(
    ("setting", "nodes", "host", "mounts"),
    [
        ("auto", [NEW], AnyNode(), True),
        ("auto", [NEW, OLD], AnyNode(), False),
        ("auto", [], AnyNode(), False),
        ("auto", [NEW, OLD], TO_NEW, True),
        ("auto", [NEW, OLD], TO_OLD, False),
        ("auto", [NEW], TO_GONE, True),
        ("always", [OLD], AnyNode(), True),
        ("always", [], TO_OLD, True),
        ("never", [NEW], AnyNode(), False),
        ("never", [NEW], TO_NEW, False),
    ],
)
def test_the_runner_is_mounted_if_every_node_can_that_the_pod_may_get_to(
    setting, nodes, host, mounts
):
    settings = Settings(image_volumes=setting)

    assert mounts_image(settings, {each.name: each for each in nodes}, host) is mounts


def first_is(state, **container):
    """Return a Pod whose init container is in a state."""
    return {
        "phase": "Pending",
        "initContainerStatuses": [{"name": "factotum-runner", "state": state}],
        "containerStatuses": [
            {"name": "factotum", "state": {"waiting": {"reason": "PodInitializing"}}}
        ],
    } | container


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (
            first_is({"waiting": {"reason": "ErrImagePull", "message": "no such image"}}),
            "ErrImagePull: no such image",
        ),
        (first_is({"waiting": {"reason": "PodInitializing"}}), ""),
        (first_is({"running": {}}), ""),
        (
            first_is(
                {"terminated": {"exitCode": 0}},
                containerStatuses=[
                    {
                        "name": "factotum",
                        "state": {"waiting": {"reason": "InvalidImageName", "message": "a::b"}},
                    }
                ],
            ),
            "InvalidImageName: a::b",
        ),
    ],
    ids=["runner's image", "starts", "copies", "own image"],
)
def test_either_image_may_be_what_is_waited_for(status, told):
    assert PodView.from_raw(raw_pod(status=status)).waiting == told


@pytest.mark.parametrize(
    ("ended", "told"),
    [
        ({"exitCode": 1, "reason": "Error", "message": "cp: no space left\n"}, "cp: no space left"),
        ({"exitCode": 137, "reason": "OOMKilled"}, "OOMKilled, exit code 137"),
    ],
)
def test_a_runner_that_could_not_be_brought_is_told_as_the_cause(ended, told):
    status = first_is({"terminated": ended}, phase="Failed")
    pod = PodView.from_raw(raw_pod(status=status))

    decision = decide(observed(make_job(spec=OWN), pod), NOW)

    assert pod.ended
    sentence = f": the runner could not be brought into its image: {told}"
    assert decision.patch["message"].endswith(sentence)


def test_an_init_container_of_somebody_else_is_named_and_not_quoted():
    ended = {"exitCode": 1, "reason": "Error", "message": "a secret"}
    status = first_is({"terminated": ended}, phase="Failed")
    status["initContainerStatuses"][0]["name"] = "istio-init"

    message = PodView.from_raw(raw_pod(status=status)).message
    assert message == "init container istio-init failed: Error, exit code 1"


def test_a_sidecar_that_was_ended_is_not_what_failed():
    status = first_is({"terminated": {"exitCode": 137}}, phase="Failed")
    status["initContainerStatuses"][0]["name"] = "proxy"
    raw = raw_pod(status=status)
    raw["spec"]["initContainers"] = [{"name": "proxy", "restartPolicy": "Always"}]

    assert PodView.from_raw(raw).message == ""


def test_what_another_container_waits_for_is_told_with_its_name():
    waiting = {"reason": "CreateContainerConfigError", "message": 'secret "x" not found'}
    status = first_is({"waiting": waiting})
    status["initContainerStatuses"][0]["name"] = "fetch"

    assert PodView.from_raw(raw_pod(status=status)).waiting == (
        'CreateContainerConfigError: container fetch: secret "x" not found'
    )


def test_a_pod_is_not_given_up_while_an_init_container_of_its_own_works():
    status = first_is({"running": {}})
    ours = PodView.from_raw(raw_pod(status=status))
    status["initContainerStatuses"][0]["name"] = "migrate"
    pod = PodView.from_raw(raw_pod(status=status))
    late = {"pending_seconds": 900.0, "pending_limit": 900.0}

    told = decide(observed(make_job(spec=OWN), pod, **late), NOW).patch
    given_up = decide(observed(make_job(spec=OWN), ours, **late), NOW).patch

    assert (told["reason"], given_up["reason"]) == ("PodPending", "Relaunching")
    assert told["message"] == f"init container migrate of Pod {pod.name} runs"


def test_the_runtimes_words_are_told_of_an_image_without_a_shell():
    words = 'exec: "sh": executable file not found in $PATH'
    ended = Terminated(exit_code=128, reason="StartError", message=words)

    decision = decide(observed(make_job(spec=OWN), make_pod(terminated=ended)), NOW)

    assert decision.patch["message"].endswith(f"StartError, exit code 128: {words}")


def test_what_a_runner_leaves_behind_is_no_sentence_to_tell():
    ended = Terminated(exit_code=75, reason="Error", message="F1 0123 unreadable")

    decision = decide(observed(make_job(spec=OWN), make_pod(terminated=ended)), NOW)

    assert decision.patch["message"].endswith("Error, exit code 75")
