"""What the Pod gives its runner: variables and files, read once."""

from __future__ import annotations

from factotum.core.errors import FactotumError
from factotum.core.wire import variables

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


LOCAL_SCHEME = "unix:"
"""Begins the address of a server on this machine."""


class MissingVariableError(FactotumError):
    """A variable that the operator puts into each Pod is not there."""


class Surroundings:
    """The variables of a runner's Pod.

    Attributes:
        is_local: the server is on this machine, which others use, too: there is no Pod.
        log_folder: where the tasks' output is kept, by task; empty: nowhere but in the Pod's log.
        log_size: how many bytes of each.
        task_environ: the tasks' environment: the image's own, and what the job gives them.
    """

    __slots__ = (
        "attempt",
        "is_local",
        "job_uid",
        "launch",
        "log_folder",
        "log_size",
        "operator_ca",
        "operator_url",
        "task_environ",
        "termination_log",
        "token_file",
        "webhook_url",
    )

    def __init__(self, environ: Mapping[str, str]) -> None:
        """Read the variables.

        Raises:
            MissingVariableError: this is no Pod of the operator's.
        """
        missing = [name for name in variables.REQUIRED if not environ.get(name)]
        if missing:
            msg = (
                f"{', '.join(missing)} not set: 'factotum work' runs in Pods that the"
                " operator makes; use 'factotum run' elsewhere"
            )
            raise MissingVariableError(msg)
        self.operator_url = environ[variables.OPERATOR_URL].rstrip("/")
        self.is_local = self.operator_url.startswith(LOCAL_SCHEME)
        self.operator_ca = environ[variables.OPERATOR_CA]
        self.job_uid = environ[variables.JOB_UID]
        self.attempt = environ[variables.ATTEMPT]
        self.launch = environ[variables.LAUNCH]
        self.token_file = environ.get(variables.TOKEN_FILE) or variables.TOKEN_PATH
        self.termination_log = environ.get(variables.TERMINATION_LOG) or variables.TERMINATION_PATH
        self.webhook_url = environ.get(variables.WEBHOOK_URL, "")
        self.log_folder = environ.get(variables.LOG_FOLDER, "")
        self.log_size = int(environ.get(variables.LOG_SIZE) or 0)
        self.task_environ = variables.task_environ(environ)
