"""Names of what a submission becomes, and the keys by which jobs are asked for. Pure.

A FactotumJob is called after its job id and the number of its run. So two
servers that accept the same job at once ask for the same name, and the API
server gives it to one of them.
"""

import re
import secrets
from typing import Final

from factotum.jobs.errors import UnknownJobError
from factotum.kube import names, paths

_ID_DIGITS: Final = 32
"""Of 64: nobody finds two factfiles that share so many, and a Pod's name has room for them."""
_UID_DIGITS: Final = 8
_UID: Final = re.compile(r"[a-z0-9-]{1,8}")
_RUN: Final = re.compile(r"[1-9][0-9]{0,8}")


def run_name(job_id: str, number: int) -> str:
    """Name the FactotumJob of a job's run, from 1."""
    return f"{job_id[:_ID_DIGITS]}-{number}"


def run_number(name: str, job_id: str) -> int:
    """Return which run of a job a FactotumJob is; 0 if it is not called so."""
    head, _, number = name.partition("-")
    if head != job_id[:_ID_DIGITS] or not _RUN.fullmatch(number):
        return 0
    return int(number)


def factfile_name(job_id: str) -> str:
    """Name a ConfigMap for a factfile; no two servers choose the same."""
    return f"{job_id[:_ID_DIGITS]}-{secrets.token_hex(4)}"


def labels(job_id: str) -> dict[str, str]:
    """Return the labels of what a job server made."""
    return {
        names.LABEL_MANAGED_BY: names.SERVER,
        names.LABEL_SUBMITTED_JOB_ID: names.label_value(job_id),
    }


def selector(job_id: str) -> str:
    """Return what selects whatever was made for a job id."""
    return f"{names.LABEL_SUBMITTED_JOB_ID}={names.label_value(job_id)}"


def key(name: str, uid: str) -> str:
    """Return a job's key: its name, which may be given out again, and what may not."""
    return f"{name}.{uid[:_UID_DIGITS]}"


def name_in(key: str) -> str:
    """Return the name in a key.

    Raises:
        UnknownJobError: it is no key.
    """
    name, _, uid = key.rpartition(".")
    if not _UID.fullmatch(uid) or not paths.is_object_name(name):
        raise UnknownJobError(f"there is no job {key[:300]!r}")
    return name
