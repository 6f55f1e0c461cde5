"""What people lay over their jobs' Pods: what is merged how, and what is refused in which words.

Each row is tried without an API server, and on a real one; but that one lets nothing in which is
misshapen, so only somebody with an older resource definition, or a chart's values, can say that.
"""

from support.pod_templates import (
    merges_of_containers,
    merges_of_pods,
    refusals_for_safety,
    refusals_for_truth,
)
from support.pod_templates.rows import (
    IMAGE,
    Refusal,
    over,
    runner,
)

MERGES = (*merges_of_pods.ROWS, *merges_of_containers.ROWS)
REFUSALS = (*refusals_for_truth.ROWS, *refusals_for_safety.ROWS)
_SPEC = "spec.podTemplate.spec"
_RUNNER = f"{_SPEC}.containers[0]"
MISSHAPEN = (
    Refusal(
        "a field that there is not", over(restartpolicy="Never"), f"{_SPEC}.restartpolicy", "knows"
    ),
    Refusal("no container", over(containers=None), f"{_SPEC}.containers", "expected a list"),
    Refusal("no volumes", over(volumes=None), f"{_SPEC}.volumes", "expected a list"),
    Refusal(
        "a container without a name",
        over(containers=[{"image": IMAGE}]),
        f"{_SPEC}.containers[0].name",
        "it must have one",
    ),
    Refusal("a spec that is none", {"podTemplate": {"spec": "x"}}, _SPEC, "expected an object"),
    Refusal(
        "a variable that is a number",
        runner(env=[{"name": "PORT", "value": 8080}]),
        f"{_RUNNER}.env[0].value",
        "quotes",
    ),
)
