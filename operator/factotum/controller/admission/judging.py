"""What the API server is answered about a job that somebody makes or changes. Pure.

What is stored already is not judged again: a job that came in while nobody looked can still be
suspended, labelled and deleted. Bodies are anybody's, so nothing in them is taken for granted.
"""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from factotum.controller.admission.factfiles import Violation, as_text, violations
from factotum.controller.admission.surprises import surprises
from factotum.controller.pod_template.judging import Bounds, of_job
from factotum.core.errors import FactotumError
from factotum.core.factfile import tags
from factotum.kube import names

API_VERSION: Final = "admission.k8s.io/v1"
KIND: Final = "AdmissionReview"
_MOST_VIOLATIONS: Final = 50
_MOST_TEXT: Final = 1024 * 1024
"""Characters of a factfile; what belongs into a job is a quarter of it."""
_MESSAGE: Final = 16 * 1024
"""Characters; it is shown in a terminal."""
_WARNING: Final = 240
"""Characters that surely arrive of a warning."""


class NoReviewError(FactotumError):
    """The body is no question of an API server's."""


class Question(NamedTuple):
    """A change that somebody asks for.

    Attributes:
        uid: of the question, repeated in the answer.
        raw: the job as it shall be; None if it is not about a FactotumJob that shall be.
        before: the job as it is, if it exists.
    """

    uid: str
    raw: Mapping[str, Any] | None
    before: Mapping[str, Any] | None


class Verdict(NamedTuple):
    """What is to be said of it; without violations it may be."""

    violations: list[Violation]
    warnings: list[str]


def read(body: object) -> Question:
    """Read a question.

    Raises:
        NoReviewError: it is none.
    """
    if not isinstance(body, dict) or (body.get("apiVersion"), body.get("kind")) != (
        API_VERSION,
        KIND,
    ):
        raise NoReviewError(f"expected an {KIND} of {API_VERSION}")
    request = body.get("request")
    uid = request.get("uid") if isinstance(request, dict) else None
    if not isinstance(request, dict) or not isinstance(uid, str) or len(uid) > 128:
        raise NoReviewError("request.uid: expected a text")
    kind = request.get("kind")
    is_ours = isinstance(kind, dict) and kind.get("kind") == names.KIND
    raw, before = request.get("object"), request.get("oldObject")
    is_asked = is_ours and not request.get("subResource")
    for each in (raw, before):
        if each is not None and not isinstance(each, dict):
            raise NoReviewError("request.object: expected an object")
    return Question(uid, raw if is_asked else None, before)


def judge(question: Question, bounds: Bounds) -> Verdict:
    """Judge a change.

    Args:
        question: the change.
        bounds: of templates, by the operator's settings.

    Raises:
        Exception: of any kind, if the job is not of the shape that the schema asks for.
    """
    raw, before = question.raw, question.before
    if raw is None or (raw.get("metadata") or {}).get("deletionTimestamp"):
        return Verdict([], [])
    if before is not None:
        return Verdict([], [each[:_WARNING] for each in surprises(raw, before)])
    of_template = of_job(raw["spec"], bounds)
    if _is_too_large(raw["spec"].get("factfile")):
        told = "spec.factfile: too large to be looked at before it is stored"
        return Verdict(list(_limited(of_template)), [told])
    found = list(_limited(itertools.chain(_violations(raw), of_template)))
    return Verdict(found, [] if found else [each[:_WARNING] for each in surprises(raw, None)])


def _is_too_large(document: Mapping[str, Any] | None) -> bool:
    """Whether to judge it would take longer than the API server waits."""
    return document is not None and len(as_text(document)) > _MOST_TEXT


def _violations(raw: Mapping[str, Any]) -> Iterable[Violation]:
    spec = raw["spec"]
    document = spec.get("factfile")
    if document is None:
        return ()  # a ConfigMap may come later than the job, and be another one by then
    metadata = raw.get("metadata") or {}
    label = metadata.get("name") or metadata.get("generateName") or "factfile"
    variables = (spec.get("env") or {}) | tags.to_variables(spec.get("tags") or {})
    return violations(document, label, variables, spec.get("start"))


def _limited(found: Iterable[Violation]) -> Iterable[Violation]:
    """Stop where nobody reads on, and say so."""
    for number, each in enumerate(found):
        if number == _MOST_VIOLATIONS:
            yield "...", "and more"
            return
        yield each


def answer(uid: str, verdict: Verdict) -> dict[str, Any]:
    """Build the answer to a question."""
    response: dict[str, Any] = {"uid": uid, "allowed": not verdict.violations}
    if verdict.violations:
        # The first is the original's sentence; its path is everything.
        lines = [f"{path}: {words}" for path, words in verdict.violations]
        message = "\n".join(lines)[:_MESSAGE]
        response["status"] = {"code": 422, "reason": "Invalid", "message": message}
    if verdict.warnings:
        response["warnings"] = verdict.warnings
    return {"apiVersion": API_VERSION, "kind": KIND, "response": response}
