"""What an operator or a job server may ask the API server for, and what it did ask for."""

import json
from collections.abc import Iterator
from typing import NamedTuple

from support.cluster.kube_api import KubeApi, RawObject
from support.cluster.operator_process import AUDIT_USER, OPERATOR_NAMESPACE, Installation

RBAC = "/apis/rbac.authorization.k8s.io/v1"
Right = tuple[str, str, str]
"""API group, resource, verb."""


class Request(NamedTuple):
    """What the API server was asked, and how it answered.

    Attributes:
        resource: with its subresource; empty for what is no object, such as a list of API groups.
        name: of the object, where it has one yet.
    """

    verb: str
    path: str
    code: int
    group: str = ""
    resource: str = ""
    name: str | None = None


class Audit:
    """The requests of a user since it was made.

    Args:
        installation: whose audit log.
        user: by default the operators' account.
    """

    def __init__(self, installation: Installation, user: str = AUDIT_USER) -> None:
        self._log = installation.audit_log
        self._user = user
        self._offset = self._log.stat().st_size

    def requests(self) -> Iterator[Request]:
        """Give every request that has ended, in order."""
        with self._log.open() as file:
            file.seek(self._offset)
            for line in file:
                event = json.loads(line) if line.endswith("\n") else {"stage": "being written"}
                if event["stage"] != "ResponseComplete" or event["user"]["username"] != self._user:
                    continue
                target = event.get("objectRef") or {}
                parts = (target.get("resource"), target.get("subresource"))
                yield Request(
                    event["verb"],
                    event["requestURI"],
                    event.get("responseStatus", {}).get("code", 0),
                    target.get("apiGroup", ""),
                    "/".join(filter(None, parts)),
                    target.get("name"),
                )


def granted(api: KubeApi, account: str) -> dict[Right, set[str]]:
    """Return every right that a binding gives to an account of ours, with its names."""
    subject = {"kind": "ServiceAccount", "name": account, "namespace": OPERATOR_NAMESPACE}
    rights = {}
    for kind in ("clusterrolebindings", "rolebindings"):
        for binding in api.items(f"{RBAC}/{kind}"):
            if subject not in (binding.get("subjects") or ()):
                continue
            for rule in api.get(_role_path(binding))["rules"]:
                for right in _rights(rule):
                    rights[right] = set(rule.get("resourceNames") or ())
    return rights


def _role_path(binding: RawObject) -> str:
    role = binding["roleRef"]
    if role["kind"] == "ClusterRole":
        return f"{RBAC}/clusterroles/{role['name']}"
    return f"{RBAC}/namespaces/{binding['metadata']['namespace']}/roles/{role['name']}"


def _rights(rule: RawObject) -> Iterator[Right]:
    for group in rule["apiGroups"]:
        for resource in rule["resources"]:
            for verb in rule["verbs"]:
                yield group, resource, verb
