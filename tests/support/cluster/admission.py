"""Admission that refuses, hangs or is down, for the Pods of one namespace."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any

from support.cluster.kube_api import KubeApi

_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
_PODS = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}


def _only(namespace: str) -> dict[str, Any]:
    return {"matchLabels": {"kubernetes.io/metadata.name": namespace}}


@contextlib.contextmanager
def webhook(api: KubeApi, namespace: str, port: int, *, seconds: int = 30) -> Iterator[None]:
    """Have the API server ask a program on this machine about each new Pod of a namespace."""
    path = f"{_ADMISSION}/validatingwebhookconfigurations"
    hook = {
        "name": "pods.example.com",
        "clientConfig": {"url": f"https://127.0.0.1:{port}/admit"},
        "rules": [_PODS],
        "namespaceSelector": _only(namespace),
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": seconds,
    }
    api.create(path, {"metadata": {"name": namespace}, "webhooks": [hook]})
    try:
        yield
    finally:
        api.delete(f"{path}/{namespace}")


@contextlib.contextmanager
def never_answering() -> Iterator[int]:
    """Listen at a port, take every connection and say nothing."""
    taken = []
    with socket.create_server(("127.0.0.1", 0), backlog=256) as server:

        def take() -> None:
            with contextlib.suppress(OSError):
                while True:
                    taken.append(server.accept()[0])

        threading.Thread(target=take, daemon=True).start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            for connection in taken:
                connection.close()


@contextlib.contextmanager
def policy(api: KubeApi, namespace: str, expression: str) -> Iterator[None]:
    """Refuse each new Pod of a namespace that does not fit an expression."""
    policies = f"{_ADMISSION}/validatingadmissionpolicies"
    bindings = f"{_ADMISSION}/validatingadmissionpolicybindings"
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [_PODS]},
        "validations": [{"expression": expression, "message": "the policy says no"}],
    }
    api.create(policies, {"metadata": {"name": namespace}, "spec": spec})
    binding = {
        "policyName": namespace,
        "validationActions": ["Deny"],
        "matchResources": {"namespaceSelector": _only(namespace)},
    }
    api.create(bindings, {"metadata": {"name": namespace}, "spec": binding})
    try:
        yield
    finally:
        api.delete(f"{bindings}/{namespace}")
        api.delete(f"{policies}/{namespace}")
