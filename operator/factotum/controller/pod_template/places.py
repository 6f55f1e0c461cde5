"""Names and paths in a Pod that are ours, and stay so whatever is laid over it."""

import posixpath
from typing import Final

from factotum.core.wire import variables
from factotum.kube import names

WORK_FOLDER: Final = "/work"
TOKEN_FOLDER, _, TOKEN_NAME = variables.TOKEN_PATH.rpartition("/")
TOKEN_VOLUME: Final = "token"  # noqa: S105 - a name
RUNNER_FOLDER: Final = "/factotum"
"""Where the runner is in an image of the job's own; its C library knows it, too."""
RUNNER_VOLUME: Final = "factotum"

VOLUMES: Final = frozenset({TOKEN_VOLUME, RUNNER_VOLUME})
CONTAINERS: Final = frozenset({names.RUNNER_CONTAINER, names.INJECTING_CONTAINER})
LABELS: Final = frozenset({names.LABEL_MANAGED_BY, names.LABEL_COMPONENT})
_FOLDERS: Final = (TOKEN_FOLDER, RUNNER_FOLDER, variables.TERMINATION_PATH)


def is_our_path(path: str) -> bool:
    """Whether something mounted there would hide what the runner needs, however it is written."""
    # By a link that nearly every image has, /var/run is /run.
    plain = posixpath.normpath(f"/{path.lstrip('/')}").removeprefix("/var")
    ours = (folder.removeprefix("/var") for folder in _FOLDERS)
    return any(plain == folder or plain.startswith(f"{folder}/") for folder in ours)


def is_our_key(key: str) -> bool:
    """Whether a label or an annotation is ours: everything under our domain, and what we set."""
    domain = key.partition("/")[0]
    return domain == names.GROUP or domain.endswith(f".{names.GROUP}") or key in LABELS
