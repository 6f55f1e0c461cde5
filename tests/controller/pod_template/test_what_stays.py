"""Whatever is laid over a Pod: it is refused, or the Pod keeps every promise. By property, pure."""

import copy

from hypothesis import given, settings
from hypothesis import strategies as st

from factotum.controller.apply.manifest import build_runner_pod
from factotum.controller.facts.observed import AnyNode, OnNode
from factotum.controller.pod_template import fields, judging
from factotum.controller.settings import Settings
from factotum.core.wire import variables
from factotum.kube import names
from support.builders.jobs import JOB_UID, make_job, make_plan
from support.pod_templates.table import MERGES, MISSHAPEN, REFUSALS

TEMPLATES = [
    row.spec["podTemplate"] for row in (*MERGES, *REFUSALS, *MISSHAPEN) if "podTemplate" in row.spec
]
JUNK = st.recursive(
    st.sampled_from([None, True, False, 0, -1, 1.5, "", "x", "token", "factotum", "Always"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(st.sampled_from(["name", "env", "mountPath", "type", "value"]), inner),
    ),
    max_leaves=4,
)
FIELDS = st.sampled_from(
    sorted(fields.OF_SPEC | fields.FIXED_OF_SPEC.keys() | fields.OF_INIT | {"restartPolicyRules"})
)


def merged(lower, upper):
    """Put two templates together, so that each keeps most of what it has."""
    if isinstance(lower, dict) and isinstance(upper, dict):
        both = {key: merged(lower[key], upper[key]) for key in lower.keys() & upper.keys()}
        return lower | upper | both
    if isinstance(lower, list) and isinstance(upper, list):
        return [*lower, *upper]
    return upper


def places(template):
    """List the objects in a template into which something can be put."""
    found, left = [], [template]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            found.append(each)
            left += each.values()
        elif isinstance(each, list):
            left += each
    return found


@st.composite
def templates(draw):
    made = {}
    for each in draw(st.lists(st.sampled_from(TEMPLATES), max_size=3)):
        made = merged(made, copy.deepcopy(each))
    for _ in range(draw(st.integers(0, 2))):
        objects = places(made)
        draw(st.sampled_from(objects))[draw(FIELDS)] = draw(JUNK)
    return made


@settings(max_examples=100)
@given(
    templates(),
    st.sampled_from([AnyNode(), OnNode(name="n", label="l"), OnNode(name="n", label=None)]),
    st.booleans(),
    st.booleans(),
)
def test_it_is_refused_or_every_promise_is_kept(template, host, has_image, is_default):
    audience = Settings().token_audience
    if list(judging.violations(template, judging.Bounds(audience), is_default=is_default)):
        return
    spec = {"factfile": {}} | ({"image": "i:1"} if has_image else {})
    if is_default:
        operator = Settings(runner_templates=(template,))
    else:
        operator, spec = Settings(), spec | {"podTemplate": template}

    pod = build_runner_pod(make_job(spec=spec), make_plan(), host, operator, "CA")

    tells_the_truth(pod)
    if not is_default:
        is_restricted(pod)


def tells_the_truth(pod):
    spec, metadata = pod["spec"], pod["metadata"]
    (container,) = spec["containers"]
    assert container["name"] == names.RUNNER_CONTAINER
    assert container["command"][-1] == "work"
    assert "args" not in container
    assert container["terminationMessagePath"] == variables.TERMINATION_PATH
    assert container["terminationMessagePolicy"] == "File"
    assert not container.keys() & {"lifecycle", "livenessProbe", "startupProbe", "tty", "stdin"}
    assert spec["restartPolicy"] == "Never"
    for each in (container, *spec.get("initContainers", ())):
        assert "restartPolicyRules" not in each
        assert each.get("restartPolicy", "Always") == "Always"
    assert "restartPolicy" not in container
    assert not spec.get("shareProcessNamespace")
    assert "nodeName" not in spec
    assert metadata["labels"][names.LABEL_JOB_UID] == JOB_UID
    assert metadata["labels"][names.LABEL_MANAGED_BY] == names.MANAGED_BY
    assert [owner["uid"] for owner in metadata["ownerReferences"]] == [JOB_UID]
    tokens = [m for m in container["volumeMounts"] if m["name"] == "token"]
    assert [m["mountPath"] for m in tokens] == ["/var/run/secrets/factotum"]
    assert [v["projected"]["sources"] for v in spec["volumes"] if v["name"] == "token"]
    for each in spec.get("initContainers", ()):
        assert "token" not in [m.get("name") for m in each.get("volumeMounts") or ()]
    variables_of_ours = [v["name"] for v in container["env"] if v["name"] in variables.OURS]
    assert len(variables_of_ours) == len(set(variables_of_ours)) >= len(variables.REQUIRED)
    others = [v["name"] for v in container["env"] if v["name"] not in variables.OURS]
    assert all(name.startswith(variables.TASK_PREFIX) for name in others)


def is_restricted(pod):
    spec = pod["spec"]
    assert not any(spec.get(field) for field in ("hostNetwork", "hostPID", "hostIPC"))
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"].get("runAsUser") != 0
    assert spec["securityContext"]["seccompProfile"]["type"] in ("RuntimeDefault", "Localhost")
    for each in (*spec["containers"], *spec.get("initContainers", ())):
        context = each["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert not context.get("privileged")
        assert "ALL" in context["capabilities"]["drop"]
        assert set(context["capabilities"].get("add") or ()) <= {"NET_BIND_SERVICE"}
        assert context.get("runAsUser") != 0
        assert context.get("runAsNonRoot", True) is True
    assert not any("hostPath" in volume for volume in spec["volumes"])


@given(JUNK)
def test_anything_at_all_can_be_judged(template):
    list(judging.violations(template, judging.Bounds("a")))


def test_what_is_nested_beyond_any_pod_is_refused_and_not_walked_through():
    deep = {}
    for _ in range(100_000):
        deep = {"a": deep}

    ((path, words),) = judging.violations({"spec": deep}, judging.Bounds("a"))
    while deep:  # a chain this long cannot be freed by itself
        deep = deep.pop("a")

    assert (path, words) == ("spec.podTemplate", "no Pod has more than 64 levels")
