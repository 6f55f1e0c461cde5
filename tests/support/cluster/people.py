"""Users of a cluster who may do little: a service account, a Role, and a token of it."""

import contextlib
import copy
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from support.cluster.kube_api import KubeApi
from support.cluster.operator_process import AUDIT_USER, RELEASE

SECRET_WORD = "cormorant-7261"
"""Stands in what nobody outside a namespace may learn."""
FACTOTUM = "factotum.snowplowanalytics.com"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
JOBS_ONLY = {
    "apiGroups": [FACTOTUM],
    "resources": ["factotumjobs"],
    "verbs": ["create", "get", "list", "delete", "patch"],
}
STATUSES = {"apiGroups": [FACTOTUM], "resources": ["factotumjobs/status"], "verbs": ["patch"]}
PODS_ONLY = {"apiGroups": [""], "resources": ["pods"], "verbs": ["create", "get", "delete"]}
TOKENS = {"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]}


class Person(KubeApi):
    """Somebody who may do in one namespace what the rules say, and nothing else."""

    def __init__(self, admin: KubeApi, namespace: str, name: str, *rules: dict[str, Any]) -> None:
        self.__dict__ = copy.copy(admin.__dict__)
        self._local = threading.local()
        # Its connections are closed with the administrator's.
        self.tls = admin.tls_without_identity()
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        metadata = {"metadata": {"name": name}}
        admin.create(accounts, metadata)
        admin.create(f"{RBAC}/namespaces/{namespace}/roles", metadata | {"rules": list(rules)})
        admin.create(
            f"{RBAC}/namespaces/{namespace}/rolebindings",
            metadata
            | {
                "roleRef": {"apiGroup": RBAC.split("/")[2], "kind": "Role", "name": name},
                "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
            },
        )
        self.token: str = admin.create(f"{accounts}/{name}/token", {"spec": {}})["status"]["token"]
        self.identity = {"Authorization": f"Bearer {self.token}"}


@contextlib.contextmanager
def unreadable(api: KubeApi, namespace: str, name: str, *, but: Sequence[str]) -> Iterator[None]:
    """Let the operator read no ConfigMaps but some; wait until it may not read that one."""
    path = f"{RBAC}/clusterroles/{RELEASE}"
    before = api.get(path)
    narrowed = copy.deepcopy(before)
    for rule in narrowed["rules"]:
        if rule["resources"] == ["configmaps"]:
            rule["resourceNames"] = list(but)
    api.request("PUT", path, narrowed)
    try:
        deadline = time.monotonic() + 30
        while _may_read(api, namespace, name):
            assert time.monotonic() < deadline, "the operator keeps its right"
            time.sleep(0.05)
        yield
    finally:
        api.request("PUT", path, api.get(path) | {"rules": before["rules"]})


def _may_read(api: KubeApi, namespace: str, name: str) -> bool:
    """Ask whether the operator may read a ConfigMap."""
    what = {"namespace": namespace, "verb": "get", "resource": "configmaps", "name": name}
    groups = ["system:serviceaccounts", "system:authenticated"]
    spec = {"user": AUDIT_USER, "groups": groups, "resourceAttributes": what}
    answer = api.create("/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": spec})
    return bool(answer["status"]["allowed"])
