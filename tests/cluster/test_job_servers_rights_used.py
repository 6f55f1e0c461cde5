"""The job server's rights against what it asks for, by the API server's own audit log.

Real: the API server with our chart's rights and its audit log, two servers by their command with
their account's own token, callers with tokens of theirs, the operator's process, a test node with
the real runner. What a good day does not need is brought about here.
"""

import contextlib
import copy
import http.client
import http.server
import json
import threading

import pytest

from support.builders.manifests import make_factfile, make_task
from support.cluster.audit import Audit, granted
from support.cluster.kube_api import jobs_path
from support.cluster.people import FACTOTUM, Person
from support.cluster.workbench import MANUAL, PLAYED
from support.server.cluster_jobs import make_padded
from support.server.http import ask
from support.server.replicas import ACCOUNT, AUDIENCE, SYSTEM, Replica, grant, wait_for

pytestmark = pytest.mark.cluster

USER = f"system:serviceaccount:{SYSTEM}:{ACCOUNT}"
NOTE = "factotum.snowplowanalytics.com/submission"
RULES = (
    {
        "apiGroups": [FACTOTUM],
        "resources": ["factotumjobs"],
        "verbs": ["create", "get", "list", "watch", "patch"],
    },
    {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
)


class Caller:
    """Asks a server by v1, with a token of the cluster."""

    def __init__(self, server, token):
        self.server = server
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def wait_until_ready(self):
        def status():
            try:
                return ask(self.server.port, "GET", "/readyz", {}).status
            except OSError:
                return 0

        wait_for(status, [200], 120)

    def get(self, path, status=200):
        answer = ask(self.server.port, "GET", path, self._headers)
        assert answer.status == status, answer
        return answer.body

    def post(self, path, document=None, status=200):
        body = b"" if document is None else json.dumps(document).encode()
        answer = ask(self.server.port, "POST", path, self._headers, body)
        assert answer.status == status, answer
        return json.loads(answer.body)

    def submit(self, factfile, host, *args, status=201):
        words = [*args, "--constraint", f"host,{host}"]
        return self.post("/v1/jobs", {"factfile": factfile, "args": words}, status)

    def job(self, key):
        return json.loads(self.get(f"/v1/jobs/{key}"))["job"]

    def first_event(self):
        """Open the stream of all changes until it says something."""
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=30)
        with contextlib.closing(connection):
            connection.request("GET", "/v1/events", headers=self._headers)
            answer = connection.getresponse()
            assert answer.status == 200
            assert answer.readline().startswith(b"event: ")


@contextlib.contextmanager
def operator_that_is_slow(do):
    """Be the operator that is asked for room: something else happens before the answer."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            do()
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"--operator=127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def jobs_are_submitted_looked_at_and_ordered(caller):
    done = caller.submit(make_factfile(make_task()), PLAYED[0])["key"]
    wait_for(lambda: caller.job(done)["state"], ["DONE"], 120)
    assert done in caller.get("/v1/jobs").decode()
    caller.first_event()
    # The node is played: it has no logs, and says so. That they are asked for is what counts.
    headers = {"Authorization": caller._headers["Authorization"]}
    assert ask(caller.server.port, "GET", f"/v1/jobs/{done}/log", headers).status != 403

    waits = caller.submit(make_factfile(make_task()), MANUAL, "--tag", "n,2")["key"]
    for order in ("suspend", "resume", "cancel"):
        caller.post(f"/v1/jobs/{waits}/{order}")
    wait_for(lambda: caller.job(waits)["state"], ["DONE"], 120)


def a_large_factfile_is_kept_and_read(caller):
    key = caller.submit(make_padded(700_000), MANUAL, "--tag", "n,3")["key"]
    assert b"xxxx" in caller.get(f"/v1/jobs/{key}/factfile")
    return key


def rival_of(bench, key):
    """Remove a job; return another one of the same job id, as a second server makes it."""
    name = key.rpartition(".")[0]
    raw = bench.api.get(jobs_path(bench.namespace, name))
    bench.api.delete(jobs_path(bench.namespace, name))
    rival = copy.deepcopy({part: raw[part] for part in ("apiVersion", "kind", "spec")})
    metadata = raw["metadata"]
    note = json.loads(metadata["annotations"][NOTE])
    rival["metadata"] = {
        "name": f"{name.rpartition('-')[0]}-7",
        "namespace": bench.namespace,
        "labels": metadata["labels"],
        "annotations": {NOTE: json.dumps(note | {"nonce": "0" * 16})},
    }
    return rival


@pytest.mark.timeout(400)
def test_every_right_is_used_and_none_is_missing(bench, tmp_path):
    audit = Audit(bench.installation, USER)
    account = grant(bench.installation, bench.namespace)
    Person(bench.api, bench.namespace, "anna", *RULES)
    path = f"/api/v1/namespaces/{bench.namespace}/serviceaccounts/anna/token"
    token = bench.api.create(path, {"spec": {"audiences": [AUDIENCE]}})["status"]["token"]
    maps = f"/api/v1/namespaces/{bench.namespace}/configmaps"
    option = f"--namespace={bench.namespace}"
    with bench.nodes(), bench.operator():
        with Replica(account, tmp_path / "one", option) as server:
            one = Caller(server, token)
            one.wait_until_ready()
            jobs_are_submitted_looked_at_and_ordered(one)
            large = a_large_factfile_is_kept_and_read(one)

        made = []
        rival = rival_of(bench, large)
        wait_for(lambda: [m for m in bench.api.items(maps) if m["metadata"].get("labels")], [[]])

        def a_second_server_is_quicker():
            made.append(bench.api.create(jobs_path(bench.namespace), rival))

        with (
            operator_that_is_slow(a_second_server_is_quicker) as asked,
            Replica(account, tmp_path / "two", option, asked) as server,
        ):
            two = Caller(server, token)
            two.wait_until_ready()
            answer = two.submit(make_padded(700_000), MANUAL, "--tag", "n,3", status=409)
            assert answer["type"].endswith("duplicate-job")
            assert len(made) == 1

    rights = granted(bench.api, ACCOUNT)

    def used():
        return {(e.group, e.resource, e.verb) for e in audit.requests() if e.resource}

    wait_for(lambda: set(rights) - used(), [set()], 60)  # granted and never used
    assert used() - set(rights) == set(), "used and not granted"
    assert [each for each in audit.requests() if each.code == 403] == []
    assert len(rights) == 14
