"""The operator's rights, and ways to look at rendered manifests. Plain values in and out."""

import re
from collections.abc import Iterator
from typing import Any

Manifest = dict[str, Any]

GROUP = "factotum.snowplowanalytics.com"

# Every right of the operator. Whoever adds one says in the chart what for.
NAMESPACED = {
    (GROUP, "factotumjobs"): {"get", "list", "watch", "delete"},
    (GROUP, "factotumjobs/status"): {"patch"},
    ("", "pods"): {"get", "list", "watch", "create", "delete"},
    ("", "configmaps"): {"get"},
    ("", "events"): {"create", "patch"},
}
OWN = {("", "secrets"): {"get", "update", "create"}}
"""In the operator's namespace, for the Secret of its certificates alone."""
CLUSTER_WIDE = {
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"): {"get", "update"},
    ("", "nodes"): {"list", "watch"},
    ("", "namespaces"): {"get"},
    ("authentication.k8s.io", "tokenreviews"): {"create"},
}

IN_ITS_OWN_NAMESPACE = {
    ("coordination.k8s.io", "leases"): {"get", "update", "create"},
}


def of_kind(manifests: list[Manifest], kind: str) -> list[Manifest]:
    """Pick the manifests of a kind."""
    return [each for each in manifests if each["kind"] == kind]


def named(manifests: list[Manifest], kind: str, name: str) -> Manifest:
    """Pick the one manifest of a kind with a name."""
    (found,) = [each for each in of_kind(manifests, kind) if each["metadata"]["name"] == name]
    return found


def rules(role: Manifest) -> dict[tuple[str, str], set[str]]:
    """Read a role as a table: (API group, resource) -> verbs."""
    found: dict[tuple[str, str], set[str]] = {}
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                found.setdefault((group, resource), set()).update(rule["verbs"])
    return found


def containers(manifests: list[Manifest]) -> Iterator[tuple[Manifest, Manifest]]:
    """List every container with its Pod's spec."""
    for each in manifests:
        template = each if each["kind"] == "Pod" else each.get("spec", {}).get("template")
        if template:
            pod = template["spec"]
            yield from ((pod, container) for container in pod["containers"])


def mounted(pod: Manifest, name: str) -> dict[str, tuple[str, str]]:
    """Read a Pod's projected volume as a table: path of a file -> (name of a Secret, its key)."""
    (volume,) = [each for each in pod["volumes"] if each["name"] == name]
    (place,) = {
        mount["mountPath"]
        for container in pod["containers"]
        for mount in container["volumeMounts"]
        if mount["name"] == name
    }
    return {
        f"{place}/{item['path']}": (source["secret"]["name"], item["key"])
        for source in volume["projected"]["sources"]
        for item in source["secret"]["items"]
    }


POD = {"POD_NAME": "factotum-operator-7d4b9-x2x4z", "POD_IP": "10.1.2.3"}
"""What the kubelet tells the operator of its Pod."""


def arguments(manifests: list[Manifest]) -> list[str]:
    """Return the operator's arguments as its kubelet fills them in."""
    deployment = named(manifests, "Deployment", "factotum-operator")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    given = {each["name"] for each in container["env"] if "valueFrom" in each}
    assert given == POD.keys()
    return [re.sub(r"\$(\$|\(\w+\))", _filled_in, word) for word in container["args"]]


def _filled_in(found: re.Match[str]) -> str:
    return "$" if found[1] == "$" else POD.get(found[1][1:-1], found[0])
