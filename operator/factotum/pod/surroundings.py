"""What the Pod gives its runner: variables and files, read once."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class MissingVariableError(Exception):
    """A variable that the operator puts into each Pod is not there."""


_OURS = (
    "FACTOTUM_OPERATOR_URL",
    "FACTOTUM_JOB_UID",
    "FACTOTUM_ATTEMPT",
    "FACTOTUM_LAUNCH",
    "FACTOTUM_TOKEN_FILE",
    "FACTOTUM_TERMINATION_LOG",
    "FACTOTUM_WEBHOOK_URL",
)


class Surroundings:
    """The variables of a runner's Pod.

    Attributes:
        task_environ: the tasks' environment: everything but our own variables.
    """

    __slots__ = (
        "attempt",
        "job_uid",
        "launch",
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
        missing = [name for name in _OURS[:5] if not environ.get(name)]
        if missing:
            msg = (
                f"{', '.join(missing)} not set: 'factotum work' runs in Pods that the"
                " operator makes; use 'factotum run' elsewhere"
            )
            raise MissingVariableError(msg)
        self.operator_url = environ["FACTOTUM_OPERATOR_URL"].rstrip("/")
        self.job_uid = environ["FACTOTUM_JOB_UID"]
        self.attempt = environ["FACTOTUM_ATTEMPT"]
        self.launch = environ["FACTOTUM_LAUNCH"]
        self.token_file = environ["FACTOTUM_TOKEN_FILE"]
        self.termination_log = environ.get("FACTOTUM_TERMINATION_LOG", "/dev/termination-log")
        self.webhook_url = environ.get("FACTOTUM_WEBHOOK_URL", "")
        self.task_environ = {n: value for n, value in environ.items() if n not in _OURS}
