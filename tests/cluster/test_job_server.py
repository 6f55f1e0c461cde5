"""The job server on a cluster: Factotum Server's API, one job once, and who may do what.

Real: the API server with our chart's rights for the server's account, two servers by their
command, the operator's process, a test node with the real runner, Consul.
"""

import json
import threading

import pytest

from support.builders.manifests import make_factfile, make_task
from support.cluster.kube_api import jobs_path
from support.cluster.people import FACTOTUM, Person
from support.cluster.workbench import PLAYED
from support.consul.process import ConsulProcess
from support.server.cluster_jobs import make_padded
from support.server.replicas import AUDIENCE, Replica, grant, message, wait_for, write_factfiles

pytestmark = pytest.mark.cluster

ACCEPTED = "SUBMITTING JOB REQ jobId:["
BUSY = (400, "Job is already being processed")
ON_NODE = ("--constraint", f"host,{PLAYED[0]}")
NOBODY = "--no-authentication"


def jobs_of(bench):
    return bench.api.items(jobs_path(bench.namespace))


def at_once(*submissions):
    """Submit at the same moment; return the answers."""
    start = threading.Barrier(len(submissions))
    answers = []

    def submit(each):
        start.wait()
        answers.append(each())

    threads = [threading.Thread(target=submit, args=[each]) for each in submissions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


def test_of_two_servers_one_accepts_each_job_and_again_after_its_end(bench, tmp_path):
    factfiles = write_factfiles(tmp_path / "factfiles", {"job": make_factfile(make_task())})
    options = (f"--namespace={bench.namespace}", NOBODY, f"--factfiles={factfiles}")
    granted = grant(bench.installation, bench.namespace)
    with (
        Replica(granted, tmp_path / "one", *options) as one,
        Replica(granted, tmp_path / "two", *options) as two,
    ):
        for server in (one, two):
            wait_for(lambda s=server: _is_known(s), [True])

        def trial(number):
            def submit(server):
                return lambda: server.submit("job", "--tag", f"n,{number}")

            answers = at_once(submit(one), submit(two), submit(one), submit(two))
            assert sorted(status for status, _ in answers) == [200, 400, 400, 400], answers
            assert sum(answer == BUSY for answer in answers) == 3

        for number in range(30):
            trial(number)
        made = jobs_of(bench)
        assert len(made) == 30
        assert {raw["metadata"]["name"].rpartition("-")[2] for raw in made} == {"1"}

        # Nobody runs them here: their ends are written by hand, and at once they are sent again.
        for number in range(10):
            (raw,) = [r for r in jobs_of(bench) if r["spec"]["tags"] == {"n": str(number)}]
            path = f"{jobs_path(bench.namespace, raw['metadata']['name'])}/status"
            verdict = {"state": "DONE", "outcome": "SUCCEEDED", "reason": "Succeeded"}
            bench.api.patch(path, {"status": verdict | {"attempt": 1, "observedGeneration": 1}})
            wait_for(lambda s=one, r=raw: _state(s, r), ["DONE"])
            trial(number)
        assert len(jobs_of(bench)) == 40
    for server in (one, two):
        assert "Traceback" not in server.log.read_text()


def _is_known(server):
    try:
        return server.get("/check?id=" + "0" * 64).status == 400
    except OSError:
        return False


def _state(server, raw):
    job_id = json.loads(
        raw["metadata"]["annotations"]["factotum.snowplowanalytics.com/submission"]
    )["jobId"]
    answer = json.loads(server.get(f"/check?id={job_id}").body)
    return answer.get("state")


class Calls:
    """What scripts ask of a server on a cluster."""

    def __init__(self, bench, server, factfiles):
        self.bench, self.server, self.factfiles = bench, server, factfiles
        self.maps = f"/api/v1/namespaces/{bench.namespace}/configmaps"
        self.last = ""

    def run(self, name, *args):
        status, text = self.server.submit(str(self.factfiles / name), *args, *ON_NODE)
        assert (status, text[: len(ACCEPTED)]) == (200, ACCEPTED), text
        return text[len(ACCEPTED) : -1]

    def entry(self, job_id):
        return json.loads(self.server.get(f"/check?id={job_id}").body)

    def owners(self):
        """List who owns ConfigMaps of the namespace."""
        owned = [raw["metadata"].get("ownerReferences") for raw in self.bench.api.items(self.maps)]
        return [references[0]["uid"] for references in owned if references]

    def run_all(self):
        for name, outcome in (
            ("echo.factfile", "SUCCEEDED"),
            ("fails.factfile", "FAILED"),
            ("large.factfile", "SUCCEEDED"),
        ):
            self.last = self.run(name, "--env", '{"word":"secret"}')
            wait_for(lambda: self.entry(self.last).get("state"), ["DONE"], 60)
            found = self.entry(self.last)
            assert found["lastOutcome"] == outcome
            assert found["jobRequest"]["factfilePath"] == str(self.factfiles / name)
            assert found["jobRequest"]["jobName"] == "a job"
        (large,) = [raw for raw in jobs_of(self.bench) if "factfileFrom" in raw["spec"]]
        assert self.owners() == [large["metadata"]["uid"]]

    def are_refused_in_the_originals_words(self):
        assert self.server.submit("nowhere")[1] == (
            "Validation Error: Value does not exist on host for 'factfilePath':'nowhere'"
        )
        assert self.server.submit("broken.factfile")[1].startswith(
            "Validation Error: Failed to execute command: [factotum run broken.factfile"
        )
        status = json.loads(self.server.get("/status").body)
        assert status["dispatcher"]["workers"]["total"] == 20

    def are_known_by_consul_when_the_objects_are_gone(self):
        for raw in jobs_of(self.bench):
            self.bench.api.delete(jobs_path(self.bench.namespace, raw["metadata"]["name"]))
        wait_for(lambda: len(jobs_of(self.bench)), [0])
        wait_for(lambda: self.entry(self.last).get("lastRunFrom"), ["test"])
        found = self.entry(self.last)
        assert (found["state"], found["lastOutcome"]) == ("DONE", "SUCCEEDED")
        assert found["jobRequest"]["jobName"] == "a job"
        assert found["jobRequest"]["factfileArgs"][1] == '{"word":"***"}'
        wait_for(lambda: len(self.owners()), [0])


@pytest.mark.consul
def test_scripts_written_for_factotum_server_go_on_as_they_did(bench, tmp_path):
    files = {
        "echo.factfile": make_factfile(make_task()),
        "fails.factfile": make_factfile(make_task(command="exit 3 #")),
        "large.factfile": make_padded(700_000),
        "broken.factfile": "{",
    }
    factfiles = write_factfiles(tmp_path / "factfiles", files)
    granted = grant(bench.installation, bench.namespace)
    with ConsulProcess.fresh(tmp_path / "consul") as consul:
        flags = (
            f"--consul-address={consul.address}",
            f"--consul-kubernetes-namespace={bench.namespace}",
            "--consul-name=test",
        )
        operator = bench.operator(*flags)
        options = (
            *(f"--namespace={bench.namespace}", NOBODY, f"--factfiles={factfiles}", *flags),
            f"--operator={operator.health[0]}:{operator.health[1]}",
        )
        with bench.nodes(), operator, Replica(granted, tmp_path / "server", *options) as server:
            wait_for(lambda: _is_known(server), [True])

            calls = Calls(bench, server, factfiles)
            calls.run_all()
            calls.are_refused_in_the_originals_words()
            calls.are_known_by_consul_when_the_objects_are_gone()
    assert "Traceback" not in server.log.read_text()


def test_the_cluster_decides_who_may_do_what(bench, tmp_path):
    factfiles = write_factfiles(tmp_path / "factfiles", {"job": make_factfile(make_task())})
    granted = grant(bench.installation, bench.namespace)

    def person(name, *verbs):
        rule = {"apiGroups": [FACTOTUM], "resources": ["factotumjobs"], "verbs": list(verbs)}
        made = Person(bench.api, bench.namespace, name, rule)
        path = f"/api/v1/namespaces/{bench.namespace}/serviceaccounts/{name}/token"
        spec = {"spec": {"audiences": [AUDIENCE]}}
        return made, bench.api.create(path, spec)["status"]["token"]

    maker, makers_token = person("maker", "create", "get", "update")
    _, readers_token = person("reader", "get")
    options = (f"--namespace={bench.namespace}", f"--factfiles={factfiles}")
    with Replica(granted, tmp_path / "server", *options) as server:
        wait_for(lambda: _answers(server), [True])
        wait_for(lambda: server.get("/check?id=" + "0" * 64, readers_token).status, [400])

        for token in ("", "nonsense", maker.token, granted.token, "x" * 20_000, "\xff"):
            answer = server.get("/status", token)
            assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
            assert server.submit("job", token=token)[0] == 401
        assert server.submit("job", token=readers_token) == (
            403,
            f"Error: 'system:serviceaccount:{bench.namespace}:reader' may not create factotumjobs"
            f" in namespace {bench.namespace}",
        )
        assert server.post("/settings", {"state": "drain"}, readers_token).status == 403
        assert jobs_of(bench) == []

        status, text = server.submit("job", token=makers_token)
        assert (status, text[: len(ACCEPTED)]) == (200, ACCEPTED)
        job_id = text[len(ACCEPTED) : -1]
        assert server.get(f"/check?id={job_id}", readers_token).status == 200
        assert server.post("/settings", {"state": "drain"}, makers_token).status == 200
        assert "drain" in server.submit("job", "--tag", "a,b", token=makers_token)[1]

        # A right that is taken away is gone within seconds.
        role = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{bench.namespace}/rolebindings"
        bench.api.delete(f"{role}/reader")
        wait_for(lambda: server.get(f"/check?id={job_id}", readers_token).status, [403], 20)
    assert "Traceback" not in server.log.read_text()


HOSTILE = "../../x\n\r\u202e'\";$(reboot)\U0001f600=,!in (a)" + "y" * 300


def test_nothing_that_a_caller_writes_gets_out_of_its_place(bench, tmp_path):
    files = {"job": make_factfile(make_task(HOSTILE)), "huge": make_padded(1_500_000)}
    factfiles = write_factfiles(tmp_path / "a" / "factfiles", files)
    outside = tmp_path / "a" / "outside"
    outside.write_text(json.dumps(files["job"]))
    (factfiles / "up").symlink_to("../outside")
    (factfiles / "absolute").symlink_to(outside)
    (factfiles / "loop").symlink_to("loop")
    granted = grant(bench.installation, bench.namespace)
    options = (f"--namespace={bench.namespace}", NOBODY, f"--factfiles={factfiles}")
    with Replica(granted, tmp_path / "server", *options) as server:
        wait_for(lambda: _is_known(server), [True])

        for path in (
            *("../outside", str(outside), f"{factfiles}/../outside", "up", "absolute", "loop"),
            *("..data/../../outside", "/etc/passwd", "/proc/self/environ", ".", "job/", "job/x"),
            *("x" * 5000, "a/" * 3000, "%2e%2e/outside", "\u2025/outside"),
        ):
            assert server.submit(path) == (
                400,
                f"Validation Error: Value does not exist on host for 'factfilePath':'{path}'",
            )
        status, text = server.submit("job\0/../../outside")
        assert status == 400
        assert jobs_of(bench) == []

        args = ("--tag", "t,$(x)='\"", "--env", json.dumps({"a": HOSTILE}))
        assert server.submit("job", *args, name=HOSTILE)[0] == 200
        (raw,) = jobs_of(bench)
        assert raw["spec"]["factfile"] == files["job"]
        assert raw["spec"]["env"] == {"a": HOSTILE}

        status, text = server.submit("huge")
        assert (status, "a ConfigMap, which is to hold it, takes at most" in text) == (400, True)
        status, text = server.submit("job", "--tag", f"{'n' * 300},{'v' * 1025}")
        assert (status, "spec.tags" in text) == (400, True), text
        for job_id in (HOSTILE, "../../kv/x", "0" * 63, "*", "a=b,c!=d"):
            path = "/check?id=" + "".join(f"%{byte:02x}" for byte in job_id.encode())
            assert server.get(path).status == 400
    assert "Traceback" not in server.log.read_text()


def test_without_the_api_server_a_server_says_so_and_when_to_come_again(bench, tmp_path):
    factfiles = write_factfiles(tmp_path / "factfiles", {"job": make_factfile(make_task())})
    for number, more in enumerate(((NOBODY,), ())):
        options = (f"--namespace={bench.namespace}", f"--factfiles={factfiles}", *more)
        folder, away = tmp_path / str(number), "https://127.0.0.1:1"
        with Replica(bench.installation, folder, *options, server=away) as server:
            wait_for(lambda s=server: _answers(s), [True])
            document = {"jobName": "a", "factfilePath": "job", "factfileArgs": []}
            for answer in (
                server.post("/submit", document, "token"),
                server.get("/check?id=" + "0" * 64, "token"),
            ):
                assert (answer.status, answer.headers["retry-after"]) == (503, "5")
                assert message(answer).startswith("Error: ")
        assert "Traceback" not in server.log.read_text()


def _answers(server):
    try:
        return server.get("/help", "token").status in (200, 401, 503)
    except OSError:
        return False
