"""An image of the job's own: how the runner gets into it. Pure.

The runner's image holds the runner once more as one folder that needs nothing of the image in
which it is started (``images/runner/portable``). An init container copies it into an empty
volume, which the job's container has read-only. The shell that starts it is the image's, which
the tasks need anyway.
"""

from typing import Any, Final

from factotum.controller.settings import Settings
from factotum.core.wire import variables
from factotum.kube import names

FOLDER: Final = "/factotum"
"""Where the job's container finds the runner; the C library in the folder knows it, too."""
VOLUME: Final = "factotum"
_SOURCE: Final = "/opt/factotum/portable"


def inject(spec: dict[str, Any], image: str, settings: Settings) -> None:
    """Change a Pod's spec so that its job runs in an image of its own.

    Args:
        spec: with the container that runs jobs, as it is for the runner's own image.
        image: any image with a POSIX shell.
        settings: which image brings the runner.
    """
    (container,) = spec["containers"]
    spec["initContainers"] = [_bringing(container, settings)]
    spec["volumes"].append({"name": VOLUME, "emptyDir": {}})
    container["image"] = image
    # The kubelet's own choice: always for a tag `latest`, else if it is not there.
    del container["imagePullPolicy"]
    container["command"] = ["sh", f"{FOLDER}/launch", "work"]
    container["volumeMounts"].append({"name": VOLUME, "mountPath": FOLDER, "readOnly": True})
    if not any(entry["name"] == variables.WEBHOOK_URL for entry in container["env"]):
        # Or a variable that the image has by this name would take the job's events.
        container["env"].append({"name": variables.WEBHOOK_URL, "value": ""})


def _bringing(container: dict[str, Any], settings: Settings) -> dict[str, Any]:
    return {
        "name": names.INJECTING_CONTAINER,
        "image": settings.runner_image,
        "imagePullPolicy": settings.runner_image_pull_policy,
        "command": ["cp", "-R", f"{_SOURCE}/.", FOLDER],
        # A Pod is scheduled by the most of its containers at one time, so this costs nothing.
        "resources": container["resources"],
        "securityContext": container["securityContext"],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [{"name": VOLUME, "mountPath": FOLDER}],
    }
