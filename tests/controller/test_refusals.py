"""What the API server's answers to a Pod's creation mean. Pure."""

import pytest

from factotum.controller.apply.refusals import refusal_of
from factotum.kube import errors

QUOTA = 'pods "p" is forbidden: exceeded quota: q, requested: limits.cpu=1, used: 0, limited: 0'
MUST = 'pods "p" is forbidden: failed quota: q: must specify limits.memory for: factotum'
POLICY = (
    "pods \"p\" is forbidden: ValidatingAdmissionPolicy 'x' with binding 'y' denied request: no"
)
WEBHOOK = 'admission webhook "w.example.com" denied the request: no'
CALLING = (
    'Internal error occurred: failed calling webhook "w.example.com": failed to call webhook:'
    " context deadline exceeded"
)
STRANGE = (
    'Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field'
    ' "spec.affinity.nodes"'
)
REQUESTS = "spec.containers[0].resources.requests"


def answer(status, reason, message, *fields):
    return errors.from_status(status, reason, message, fields)


@pytest.mark.parametrize(
    ("exc", "reason", "permanent", "is_answer"),
    [
        pytest.param(answer(403, "Forbidden", QUOTA), "PodForbidden", False, True, id="quota"),
        pytest.param(answer(403, "Forbidden", MUST), "PodForbidden", False, True, id="limits"),
        pytest.param(answer(403, "Forbidden", "rights"), "PodForbidden", False, True, id="rights"),
        pytest.param(answer(422, "Invalid", POLICY), "PodForbidden", False, True, id="policy"),
        pytest.param(answer(400, "BadRequest", WEBHOOK), "PodForbidden", False, True, id="webhook"),
        pytest.param(
            answer(400, "BadRequest", STRANGE), "PodRejected", True, True, id="unknown-field"
        ),
        pytest.param(
            answer(422, "Invalid", WEBHOOK, "spec.x"),
            "PodForbidden",
            False,
            True,
            id="webhook-that-says-422",
        ),
        pytest.param(
            answer(422, "Invalid", 'Pod "p" is invalid', REQUESTS, f"{REQUESTS}[memory]"),
            "PodForbidden",
            False,
            True,
            id="limits-of-a-limit-range",
        ),
        pytest.param(
            answer(422, "Invalid", 'Pod "p" is invalid', "spec.containers[0].env[0].name"),
            "PodRejected",
            True,
            True,
            id="invalid",
        ),
        pytest.param(
            answer(422, "Invalid", 'Pod "p" is invalid', REQUESTS, "spec.nodeName"),
            "PodRejected",
            True,
            True,
            id="invalid-beside-limits",
        ),
        pytest.param(answer(422, "Invalid", "?"), "PodForbidden", False, True, id="nameless"),
        pytest.param(answer(404, "NotFound", "ns"), "PodForbidden", False, True, id="no-namespace"),
        pytest.param(answer(500, "Internal", CALLING), "PodNotCreated", False, False, id="hook"),
        pytest.param(answer(429, "TooManyRequests", ""), "PodNotCreated", False, False, id="busy"),
        pytest.param(answer(503, "", "away"), "PodNotCreated", False, False, id="away"),
        pytest.param(answer(401, "Unauthorized", ""), "PodNotCreated", False, True, id="token"),
        pytest.param(answer(409, "Conflict", "quota"), "PodNotCreated", False, True, id="conflict"),
        pytest.param(
            errors.UnreachableError("no answer"), "PodNotCreated", False, False, id="no-answer"
        ),
    ],
)
def test_only_what_can_never_pass_is_final(exc, reason, permanent, is_answer):
    refusal = refusal_of(exc)

    assert (refusal.reason, refusal.permanent, refusal.is_answer) == (reason, permanent, is_answer)
    assert str(exc) in refusal.message
