"""The variables by which a Pod tells its runner what to do, and how the tasks' own keep apart.

Whatever a job's author puts into the tasks' environment comes with a prefix,
which is taken off when a task is started. So no Secret and no ConfigMap,
whatever its keys are called, reaches the runner itself.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

OPERATOR_URL = "FACTOTUM_OPERATOR_URL"
OPERATOR_CA = "FACTOTUM_OPERATOR_CA"
"""Certificates, PEM, of who may vouch for the operator: not secret."""
JOB_UID = "FACTOTUM_JOB_UID"
ATTEMPT = "FACTOTUM_ATTEMPT"
LAUNCH = "FACTOTUM_LAUNCH"
TOKEN_FILE = "FACTOTUM_TOKEN_FILE"  # noqa: S105 - a variable's name
TERMINATION_LOG = "FACTOTUM_TERMINATION_LOG"
WEBHOOK_URL = "FACTOTUM_WEBHOOK_URL"
LOG_FOLDER = "FACTOTUM_LOG_FOLDER"
"""Where output is kept, a file or a few for each task; without it nothing is: a Pod has its log."""
LOG_SIZE = "FACTOTUM_LOG_SIZE"
"""How many bytes of one task's output are kept."""

TOKEN_PATH = "/var/run/secrets/factotum/token"  # noqa: S105 - a path
TERMINATION_PATH = "/dev/termination-log"
"""Where a Pod has both, without a variable: each is paid for at every write of the Pod."""

REQUIRED = (OPERATOR_URL, OPERATOR_CA, JOB_UID, ATTEMPT, LAUNCH)
OURS = (*REQUIRED, TOKEN_FILE, TERMINATION_LOG, WEBHOOK_URL, LOG_FOLDER, LOG_SIZE)

TASK_PREFIX = "FACTOTUM_TASK_"
"""Stands before the name of each variable that is meant for the tasks."""


def task_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the tasks' environment: the image's own, and over it what was meant for them."""
    own = {
        name: value
        for name, value in environ.items()
        if name not in OURS and not name.startswith(TASK_PREFIX)
    }
    length = len(TASK_PREFIX)
    # A reference that found nothing stands there as the Pod's manifest had it: with the prefix.
    meant = {
        name[length:]: value.replace(f"$({TASK_PREFIX}", "$(")
        for name, value in environ.items()
        if name.startswith(TASK_PREFIX) and len(name) > length
    }
    return own | meant
