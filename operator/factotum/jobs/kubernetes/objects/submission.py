"""What a server was asked for, as it is written on the FactotumJob that it made. Pure.

Whoever may make FactotumJobs may write such an annotation, so it is read with
care, and the job id in it counts only until the operator says its own.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from factotum.jobs.errors import RefusedByPolicyError
from factotum.jobs.views import JobRequest
from factotum.kube import names

_MAX_NAME: Final = 1024
_MAX_BYTES: Final = 128 * 1024
"""Of the 256 KiB that an object's annotations may have in all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """What was asked for.

    Attributes:
        nonce: of the one request that made the job.
        moment_ms: when it was asked for; the object's own time counts whole seconds.
    """

    job_id: str
    name: str
    factfile_path: str
    args: tuple[str, ...]
    nonce: str
    moment_ms: int = 0

    @classmethod
    def of(cls, request: JobRequest, nonce: str, moment_ms: int = 0) -> Self:
        """Return what a request asks for."""
        return cls(
            job_id=request.job_id,
            name=request.name,
            factfile_path=request.factfile_path,
            args=request.args,
            nonce=nonce,
            moment_ms=moment_ms,
        )

    @classmethod
    def read(cls, raw: Mapping[str, Any]) -> Self | None:
        """Read what an object says; None if it says nothing, or nothing legible."""
        text = (raw["metadata"].get("annotations") or {}).get(names.ANNOTATION_SUBMISSION)
        try:
            document = json.loads(text or "null")
            texts = [document[key] for key in ("jobId", "jobName", "factfilePath", "nonce")]
            args = document["factfileArgs"]
            moment = document.get("momentMs", 0)
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        if not isinstance(args, list) or {str} != set(map(type, [*texts, *args])):
            return None
        if type(moment) is not int:
            return None
        return cls(
            job_id=texts[0],
            name=texts[1],
            factfile_path=texts[2],
            nonce=texts[3],
            args=tuple(args),
            moment_ms=moment,
        )

    def annotations(self) -> dict[str, str]:
        """Return the annotation that says it.

        Raises:
            RefusedByPolicyError: there is no room for it.
        """
        document = {
            "jobId": self.job_id,
            "jobName": self.name,
            "factfilePath": self.factfile_path,
            "factfileArgs": list(self.args),
            "nonce": self.nonce,
            "momentMs": self.moment_ms,
        }
        text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        if len(_encoded(text)) > _MAX_BYTES:
            raise RefusedByPolicyError(
                f"name, path and arguments have more than {_MAX_BYTES} bytes:"
                " put what is long into the factfile"
            )
        return {
            names.ANNOTATION_SUBMISSION: text,
            names.ANNOTATION_SUBMITTED_NAME: self.name[:_MAX_NAME],
        }


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise RefusedByPolicyError("name, path and arguments must be text in UTF-8") from None
