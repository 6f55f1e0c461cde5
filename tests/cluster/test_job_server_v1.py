"""REST v1 on a cluster: who may do what, and a job from its submission to its end.

Real: the API server with our chart's rights, a server by its command, the operator's process, a
test node with the real runner.
"""

import json

import pytest

from support.builders.manifests import make_factfile, make_task
from support.cluster.people import FACTOTUM, Person
from support.cluster.workbench import PLAYED
from support.server.http import ask
from support.server.replicas import AUDIENCE, Replica, grant, wait_for

pytestmark = pytest.mark.cluster


def test_a_job_by_v1_and_what_each_right_is_good_for(bench, tmp_path):
    granted = grant(bench.installation, bench.namespace)

    def person(name, *verbs):
        rule = {"apiGroups": [FACTOTUM], "resources": ["factotumjobs"], "verbs": list(verbs)}
        Person(bench.api, bench.namespace, name, rule)
        path = f"/api/v1/namespaces/{bench.namespace}/serviceaccounts/{name}/token"
        return bench.api.create(path, {"spec": {"audiences": [AUDIENCE]}})["status"]["token"]

    anna, ben = person("anna", "create", "get", "list", "patch"), person("ben", "get")
    options = (f"--namespace={bench.namespace}",)
    with bench.nodes(), bench.operator(), Replica(granted, tmp_path / "s", *options) as server:

        def asked(method, path, token, document=None):
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            body = None if document is None else json.dumps(document).encode()
            if body is not None:
                headers["Content-Type"] = "application/json"
            return ask(server.port, method, path, headers, body)

        server.until_ready()
        for path in ("/v1/jobs", "/v1/server", "/v1/events", "/v1/jobs/x/log", "/metrics"):
            assert asked("GET", path, "").status == 401
        assert asked("GET", "/v1/jobs", ben).status == 403
        assert asked("GET", "/v1/events", anna).status == 403

        factfile = make_factfile(make_task())
        document = {"name": "by v1", "factfile": factfile}
        document["args"] = ["--constraint", f"host,{PLAYED[0]}"]
        made = asked("POST", "/v1/jobs", anna, document)
        assert made.status in (201, 202), made.body
        key = json.loads(made.body)["key"]
        assert asked("POST", "/v1/jobs", ben, document).status == 403
        assert asked("POST", f"/v1/jobs/{key}/cancel", ben).status == 403
        assert asked("GET", f"/v1/jobs/{key}/log", anna).status == 403

        def state():
            return json.loads(asked("GET", f"/v1/jobs/{key}", ben).body)["job"]["state"]

        wait_for(state, ["DONE"], 60)
        assert asked("GET", "/v1/jobs", anna).status == 200
        assert asked("POST", f"/v1/jobs/{key}/cancel", anna).status == 409
    assert "Traceback" not in server.log.read_text()
