"""Where claims and reports go: the paths that the Pod asks for and the controller serves."""

from __future__ import annotations

CLAIMS = "/v1/claims"
REPORTS = "/v1/reports"


def claim_path(job_uid: str, attempt: str, launch: str) -> str:
    """Return the path at which a launch of an attempt is claimed."""
    return f"{CLAIMS}/{job_uid}/{attempt}/{launch}"


def report_path(job_uid: str, attempt: str) -> str:
    """Return the path at which an attempt is reported on."""
    return f"{REPORTS}/{job_uid}/{attempt}"
