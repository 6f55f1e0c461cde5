"""An image of the job's own: how the runner gets into it. Pure.

The runner's image holds the runner once more as one folder that needs nothing of the image in
which it is started (``images/runner/portable``). Where the Nodes can, that folder is mounted into
the job's container straight from the image. Else an init container copies it into an empty
volume, which takes a second more: so long it is until the kubelet sees that it has ended. The
shell that starts the runner is the job's image's, which the tasks need anyway.
"""

from collections.abc import Mapping
from typing import Any, Final

from factotum.controller.facts.nodes import NodeView
from factotum.controller.facts.observed import HostFact, OnNode
from factotum.controller.pod_template import merging
from factotum.controller.pod_template.places import RUNNER_FOLDER, RUNNER_VOLUME
from factotum.controller.settings import Settings
from factotum.core.wire import variables
from factotum.kube import names

_SOURCE: Final = "opt/factotum/portable"


def mounts_image(settings: Settings, nodes: Mapping[str, NodeView], host: HostFact) -> bool:
    """Whether the runner's image is mounted, by what is set and, if that is ``auto``, the Nodes.

    Args:
        nodes: all that there are, by name: a Pod may get to any of them.
        host: the one that this Pod goes to, if it is known.
    """
    if settings.image_volumes != "auto":
        return settings.image_volumes == "always"
    if isinstance(host, OnNode) and host.name in nodes:
        return nodes[host.name].mounts_images
    return bool(nodes) and all(node.mounts_images for node in nodes.values())


def inject(spec: dict[str, Any], image: str, settings: Settings, *, mounts_image: bool) -> None:
    """Change a Pod's spec so that its job runs in an image of its own.

    Args:
        spec: with the container that runs jobs, as it is for the runner's own image, but for the
            pull policy: if none was asked for, that is the kubelet's choice by the tag.
        image: any image with a POSIX shell.
        settings: which image brings the runner.
        mounts_image: it is mounted, not copied.
    """
    (container,) = spec["containers"]
    mount = {"name": RUNNER_VOLUME, "mountPath": RUNNER_FOLDER, "readOnly": True}
    if mounts_image:
        volume = {
            "reference": settings.runner_image,
            "pullPolicy": settings.runner_image_pull_policy,
        }
        spec["volumes"].append({"name": RUNNER_VOLUME, "image": volume})
        mount["subPath"] = _SOURCE
    else:
        spec["volumes"].append({"name": RUNNER_VOLUME, "emptyDir": {}})
        spec["initContainers"] = [_copying(container, settings), *spec.get("initContainers", [])]
    container["image"] = image
    container["command"] = ["sh", f"{RUNNER_FOLDER}/launch", "work"]
    container["volumeMounts"].append(mount)
    # What is not said is said to be nothing: a variable that the image has by such a name would
    # take the job's events, or its token.
    given = {entry["name"] for entry in container["env"]}
    container["env"] += [{"name": n, "value": ""} for n in variables.OURS if n not in given]


def _copying(container: dict[str, Any], settings: Settings) -> dict[str, Any]:
    return {
        "name": names.INJECTING_CONTAINER,
        "image": settings.runner_image,
        "imagePullPolicy": settings.runner_image_pull_policy,
        "command": ["cp", "-R", f"/{_SOURCE}/.", RUNNER_FOLDER],
        # A Pod is scheduled by the most of its containers at one time, so this costs nothing,
        # and a quota that wants limits has them.
        "resources": {k: v for k, v in container.get("resources", {}).items() if k != "claims"},
        "securityContext": container.get("securityContext", merging.STRICT),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": RUNNER_VOLUME, "mountPath": RUNNER_FOLDER}],
    }
