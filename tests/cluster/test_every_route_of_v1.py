"""Every path of the job server, asked for by people who may do little.

Real: the API server with our chart's rights, its tokens, a server by its command.
"""

import json

import pytest

from factotum.gateway.original.paths import ROUTES
from factotum.gateway.v1 import logs, resources
from support.cluster.people import FACTOTUM, RBAC, Person
from support.server.http import ask
from support.server.replicas import AUDIENCE, Replica, grant, wait_for

pytestmark = pytest.mark.cluster

KEY = f"{'0' * 32}-1.12345678"
OPEN = {"/v1/server", "/v1/openapi.json", "/metrics", "/", "/help", "/status"}
"""What tells nothing of jobs: whoever is known may see it."""
PATHS = [
    *(
        (method, route.path.replace("{key}", KEY))
        for route in (*resources.router.routes, *logs.router.routes)
        for method in route.methods
    ),
    *((method, path) for path, method in ROUTES.items()),
    ("GET", "/v1/openapi.json"),
    ("GET", "/metrics"),
]
_LOOKED_FOR = [
    *(f"/v1/jobs/{KEY}{rest}" for rest in ("%2Flog", "/log/", "/%6cog", "//log", "/log%00")),
    *("/v1/%6aobs", "//v1/jobs", "/ui/../v1/jobs", "/v1/jobs/../jobs", "/v1/jobs%2f..%2fjobs"),
    *("/healthz/../v1/jobs", "/v1/server/../jobs"),
]
VARIANTS = [
    *(("GET", path) for path in _LOOKED_FOR),
    *((method, "/v1/jobs") for method in ("HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE")),
]
RIGHTS = {
    "apiGroups": [FACTOTUM],
    "resources": ["factotumjobs"],
    "verbs": ["create", "get", "list", "watch", "patch", "update"],
}


def token_of(api, namespace, name):
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
    return api.create(path, {"spec": {"audiences": [AUDIENCE]}})["status"]["token"]


def test_nobody_gets_more_than_his_rights_whatever_path_he_asks_for(bench, tmp_path):
    granted = grant(bench.installation, bench.namespace)
    elsewhere = f"{bench.namespace}-other"
    bench.api.create("/api/v1/namespaces", {"metadata": {"name": elsewhere}})
    Person(bench.api, bench.namespace, "nobody")
    Person(bench.api, elsewhere, "elsewhere", RIGHTS)
    nobody = token_of(bench.api, bench.namespace, "nobody")
    stranger = token_of(bench.api, elsewhere, "elsewhere")
    with Replica(granted, tmp_path / "s", f"--namespace={bench.namespace}") as server:

        def asked(method, path, token, *headers):
            more = dict(headers)
            if token:
                more["Authorization"] = f"Bearer {token}"
            body = b"{}" if method in ("POST", "PUT", "PATCH") else None
            if body is not None:
                more["Content-Type"] = "application/json"
            return ask(server.port, method, path, more, body)

        server.until_ready()
        for method, path in PATHS:
            assert asked(method, path, "").status == 401, (method, path)
            # Who he is is for the API server to say, and nobody else.
            impersonating = ("Impersonate-User", "system:admin"), ("X-Remote-User", "admin")
            assert asked(method, path, "nonsense", *impersonating).status == 401, (method, path)
            for token in (nobody, stranger):
                answer = asked(method, path, token, *impersonating)
                assert answer.status == (200 if path in OPEN else 403), (method, path, answer)
        for method, path in VARIANTS:
            for token in ("", nobody, stranger):
                answer = asked(method, path, token)
                assert answer.status in (401, 403, 404, 405), (method, path, answer)
                assert b'"jobs"' not in answer.body

        # A right that a group has is its members', and an account that is gone is nobody's.
        subject = {"kind": "Group", "apiGroup": RBAC.split("/")[2]}
        subject["name"] = f"system:serviceaccounts:{elsewhere}"
        metadata = {"name": "group", "namespace": bench.namespace}
        roles = f"{RBAC}/namespaces/{bench.namespace}"
        bench.api.create(f"{roles}/roles", {"metadata": metadata, "rules": [RIGHTS]})
        reference = {"apiGroup": RBAC.split("/")[2], "kind": "Role", "name": "group"}
        binding = {"metadata": metadata, "roleRef": reference, "subjects": [subject]}
        bench.api.create(f"{roles}/rolebindings", binding)
        wait_for(lambda: asked("GET", "/v1/jobs", stranger).status, [200], 20)
        assert asked("GET", "/v1/jobs", nobody).status == 403
        assert asked("GET", f"/v1/jobs/{KEY}/log", stranger).status == 403
        assert json.loads(asked("GET", "/v1/jobs", stranger).body)["jobs"] == []
        bench.api.delete(f"/api/v1/namespaces/{elsewhere}/serviceaccounts/elsewhere")
        wait_for(lambda: asked("GET", "/v1/jobs", stranger).status, [401], 30)
    assert "Traceback" not in server.log.read_text()
