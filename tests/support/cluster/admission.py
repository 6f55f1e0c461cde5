"""Admission that refuses, changes, hangs or is down, for the Pods of one namespace."""

import base64
import contextlib
import http.server
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

from support.cluster.kube_api import ApiRefusedError, KubeApi, pods_path
from support.http.certificates import loopback, serving

_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
_PODS = {"apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"], "operations": ["CREATE"]}


def _only(namespace: str) -> dict[str, Any]:
    return {"matchLabels": {"kubernetes.io/metadata.name": namespace}}


def _hook(namespace: str, port: int) -> dict[str, Any]:
    return {
        "name": "pods.example.com",
        "clientConfig": {"url": f"https://127.0.0.1:{port}/admit"},
        "rules": [_PODS],
        "namespaceSelector": _only(namespace),
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }


@contextlib.contextmanager
def webhook(api: KubeApi, namespace: str, port: int, *, seconds: int = 30) -> Iterator[None]:
    """Have the API server ask a program on this machine about each new Pod of a namespace."""
    path = f"{_ADMISSION}/validatingwebhookconfigurations"
    hook = _hook(namespace, port) | {"timeoutSeconds": seconds}
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


@contextlib.contextmanager
def changing(api: KubeApi, namespace: str, *patch: dict[str, Any]) -> Iterator[None]:
    """Have a program on this machine change each new Pod of a namespace by a JSON patch."""
    text = base64.b64encode(json.dumps(patch).encode()).decode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            answer = {"allowed": True, "patchType": "JSONPatch", "patch": text}
            answer["uid"] = asked["request"]["uid"]
            body = json.dumps({k: asked[k] for k in ("apiVersion", "kind")} | {"response": answer})
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.socket = serving().wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with _mutating(api, namespace, server.server_address[1]):
                yield
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def _mutating(api: KubeApi, namespace: str, port: int) -> Iterator[None]:
    path = f"{_ADMISSION}/mutatingwebhookconfigurations"
    bundle = base64.b64encode(loopback().trusted.encode()).decode()
    hook = _hook(namespace, port) | {"reinvocationPolicy": "Never"}
    hook["clientConfig"]["caBundle"] = bundle
    api.create(path, {"metadata": {"name": namespace}, "webhooks": [hook]})
    try:
        yield
    finally:
        api.delete(f"{path}/{namespace}")


def refused_by(api: KubeApi, namespace: str, words: str) -> None:
    """Wait until a namespace takes no Pod any more, in the words of what refuses it."""
    container = {"name": "c", "image": "none"}
    pod = {"metadata": {"name": "probe"}, "spec": {"containers": [container]}}
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            api.create(f"{pods_path(namespace)}?dryRun=All", pod)
        except ApiRefusedError as error:
            if words in str(error):
                return
        time.sleep(0.1)
    raise AssertionError(f"{namespace} takes Pods all the same")
