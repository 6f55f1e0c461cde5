"""What is legal and still surprises: told when a job is made, no reason to refuse it. Pure.

No value of a variable is ever repeated here.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

_SHELL: Final = "shell"
_SECRET_NAME: Final = re.compile(
    r"passw(or)?d|secret|token|api_?key|private_?key|credential", re.IGNORECASE
)
_NO_SECRET_NAME: Final = re.compile(r"_?(name|id|file|path|url|ref|length|ttl)$", re.IGNORECASE)
_SECRET_VALUE: Final = re.compile(
    r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----"
    r"|\b(AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|\bgh[pousr]_[0-9A-Za-z]{20}"
    r"|\bglpat-[0-9A-Za-z_-]{16}"
    r"|\bxox[abprs]-[0-9A-Za-z-]{10}"
    r"|\beyJ[0-9A-Za-z_-]{10,200}\.eyJ"
    r"|://[^/@:\s]{1,64}:[^/@\s]{1,128}@"
)
_GITOPS: Final = {
    "argocd.argoproj.io/instance": "Argo CD",
    "argocd.argoproj.io/tracking-id": "Argo CD",
    "kustomize.toolkit.fluxcd.io/name": "Flux",
    "helm.toolkit.fluxcd.io/name": "Flux",
    "meta.helm.sh/release-name": "Helm",
}


def surprises(raw: Mapping[str, Any], before: Mapping[str, Any] | None) -> Iterator[str]:
    """List what a user should know of a job.

    Args:
        raw: the job.
        before: as it was, if it is changed: then only what is new is told.
    """
    spec = raw.get("spec") or {}
    if before is None:
        factfile = spec.get("factfile")
        tasks = factfile["data"]["tasks"] if factfile else []
        yield from _tasks(tasks)
        yield from _variables(spec.get("env") or {})
    told_before = set() if before is None else set(_clean_up(before))
    yield from (each for each in _clean_up(raw) if each not in told_before)


def _tasks(tasks: list[Mapping[str, Any]]) -> Iterator[str]:
    odd = [index for index, task in enumerate(tasks) if task["executor"] != _SHELL]
    if odd:
        yield (
            f"{_places(odd, 'executor')}: {tasks[odd[0]]['executor']!r:.40} is no executor that is"
            " known; every task runs in the shell"
        )
    templated = [index for index, task in enumerate(tasks) if "{{" in task["command"]]
    if templated:
        yield (
            f"{_places(templated, 'command')}: it looks like a template, but the shell gets a"
            " command as it is written; templates belong into arguments"
        )


def _places(indices: list[int], field: str) -> str:
    more = f" and {len(indices) - 1} more" if len(indices) > 1 else ""
    return f"spec.factfile.data.tasks[{indices[0]}].{field}{more}"


def _variables(env: Mapping[str, str]) -> Iterator[str]:
    found = [name for name, value in env.items() if _looks_secret(name, value)]
    if found:
        yield (
            f"spec.env: {_some(found)} looks like a secret, and everybody who may read the job"
            " reads it: use envFrom with a Secret"
        )


def _looks_secret(name: str, value: str) -> bool:
    if not value:
        return False
    named = _SECRET_NAME.search(name) is not None and _NO_SECRET_NAME.search(name) is None
    return named or _SECRET_VALUE.search(value) is not None


def _clean_up(raw: Mapping[str, Any]) -> Iterator[str]:
    if (raw.get("spec") or {}).get("ttlSecondsAfterFinished") is None:
        return
    metadata = raw.get("metadata") or {}
    marks = {*(metadata.get("labels") or {}), *(metadata.get("annotations") or {})}
    tool = next((name for mark, name in _GITOPS.items() if mark in marks), None)
    if tool:
        yield (
            f"spec.ttlSecondsAfterFinished: {tool} manages this job, so it comes back and runs"
            " again once it was cleaned up"
        )


def _some(names: Iterable[str]) -> str:
    first, *rest = sorted(names)
    return f"{first:.60} (and {len(rest)} more)" if rest else f"{first:.60}"
