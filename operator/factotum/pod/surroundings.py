"""What the Pod gives its runner: variables and files, read once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

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


class Surroundings(NamedTuple):
    """The variables of a runner's Pod."""

    operator_url: str
    job_uid: str
    attempt: str
    launch: str
    token_file: str
    termination_log: str
    webhook_url: str
    task_environ: Mapping[str, str]
    """The tasks' environment: everything but our own variables."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Surroundings:
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
        return cls(
            operator_url=environ["FACTOTUM_OPERATOR_URL"].rstrip("/"),
            job_uid=environ["FACTOTUM_JOB_UID"],
            attempt=environ["FACTOTUM_ATTEMPT"],
            launch=environ["FACTOTUM_LAUNCH"],
            token_file=environ["FACTOTUM_TOKEN_FILE"],
            termination_log=environ.get("FACTOTUM_TERMINATION_LOG", "/dev/termination-log"),
            webhook_url=environ.get("FACTOTUM_WEBHOOK_URL", ""),
            task_environ={name: value for name, value in environ.items() if name not in _OURS},
        )
