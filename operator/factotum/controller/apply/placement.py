"""Where a Pod may go: where its job's host constraint says, of what else was said. Pure."""

from typing import Any, Final

from factotum.controller.facts.nodes import HOSTNAME_LABEL
from factotum.controller.facts.observed import HostFact, OnNode

_NODES: Final = "nodeAffinity"
_REQUIRED: Final = "requiredDuringSchedulingIgnoredDuringExecution"


def place(spec: dict[str, Any], host: HostFact) -> None:
    """Add a host constraint to a Pod's spec; what is said there already holds, too."""
    if not isinstance(host, OnNode):
        return
    selector = spec.get("nodeSelector") or {}
    if host.label is not None and selector.get(HOSTNAME_LABEL, host.label) == host.label:
        spec["nodeSelector"] = selector | {HOSTNAME_LABEL: host.label}
        return
    affinity = spec.get("affinity") or {}
    nodes = affinity.get(_NODES) or {}
    required = nodes.get(_REQUIRED) or {}
    fields = [{"key": "metadata.name", "operator": "In", "values": [host.name]}]
    # One of the terms must fit, so the constraint goes into each; one that is empty fits no Node.
    given = required.get("nodeSelectorTerms")
    terms = [
        term | {"matchFields": [*(term.get("matchFields") or ()), *fields]} if term else term
        for term in (given or [])
    ]
    required = required | {"nodeSelectorTerms": terms or [{"matchFields": fields}]}
    spec["affinity"] = affinity | {_NODES: nodes | {_REQUIRED: required}}
