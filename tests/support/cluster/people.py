"""Users of a cluster who may do little: a service account, a Role, and a token of it."""

import copy
import threading
from typing import Any

from support.cluster.kube_api import KubeApi

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
