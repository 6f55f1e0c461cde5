"""The test node does to a Pod what a kubelet would.

Real: API server and its controllers, Pods, Secrets, bound tokens. The runner is a stand-in, a
shell script, so that this says nothing about the operator; each test gives the script.
"""

import asyncio
import json
import sys

import pytest

from local_cluster import fake_nodes
from test_node import TestNode

pytestmark = pytest.mark.cluster

NODE = "kubelet-of-tests"


@pytest.fixture(scope="module")
def cluster(control_plane):
    node = fake_nodes.FakeNode(name=NODE)
    manifest = fake_nodes.build_node(node, now="2026-01-01T00:00:00Z", tainted=True)
    control_plane.kubectl("create", "-f", "-", manifest=manifest)
    yield control_plane
    control_plane.kubectl("delete", "node", NODE)


class Pods:
    """Makes Pods on the fake node and waits for what becomes of them."""

    def __init__(self, cluster):
        self._cluster = cluster
        self._made = []

    async def kubectl(self, *words, manifest=None):
        return await asyncio.to_thread(self._cluster.kubectl, *words, manifest=manifest)

    async def create(self, name, *, env=(), env_from=(), annotations=None, **spec):
        token = {"audience": "factotum-operator", "expirationSeconds": 3600, "path": "token"}
        manifest = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "annotations": annotations or {}},
            "spec": {
                "nodeName": NODE,
                "restartPolicy": "Never",
                "containers": [
                    {
                        "name": "factotum",
                        "image": "any",
                        "command": ["factotum", "work"],
                        "env": [
                            {"name": "FACTOTUM_TOKEN_FILE", "value": "/var/run/token"},
                            {"name": "FACTOTUM_TERMINATION_LOG", "value": "/dev/termination-log"},
                            *env,
                        ],
                        "envFrom": list(env_from),
                    }
                ],
                "volumes": [
                    {"name": "t", "projected": {"sources": [{"serviceAccountToken": token}]}}
                ],
                **spec,
            },
        }
        self._made.append(name)
        await self.kubectl("create", "-f", "-", manifest=manifest)

    async def get(self, name):
        return json.loads(await self.kubectl("get", "pod", name, "-o", "json"))

    async def until(self, name, condition, seconds=20):
        async with asyncio.timeout(seconds):
            while True:
                pod = await self.get(name)
                if condition(pod["status"]):
                    return pod["status"]
                await asyncio.sleep(0.1)

    async def until_ended(self, name):
        return await self.until(name, lambda status: status["phase"] in ("Succeeded", "Failed"))

    async def remove_all(self):
        for name in self._made:
            await self.kubectl("delete", "pod", name, "--force", "--ignore-not-found")


@pytest.fixture
async def pods(cluster):
    pods = Pods(cluster)
    yield pods
    await pods.remove_all()


@pytest.fixture
async def start(cluster, tmp_path):
    """Start the test node with a shell script in the runner's place."""
    nodes = []

    async def start_with(script, **environment):
        runner = ["/bin/sh", "-c", script]
        node = TestNode(
            cluster.kubeconfig, [NODE], runner=runner, environment=environment, folder=tmp_path
        )
        await node.start()
        nodes.append(node)
        return node

    yield start_with
    for node in nodes:
        await node.stop()


def ended_state(status):
    return status["containerStatuses"][0]["state"]["terminated"]


async def test_a_good_end_is_succeeded_with_the_termination_message(pods, start):
    node = await start('echo said; printf done > "$FACTOTUM_TERMINATION_LOG"')

    await pods.create("good")
    status = await pods.until_ended("good")

    assert status["phase"] == "Succeeded"
    ended = ended_state(status)
    assert (ended["exitCode"], ended["reason"], ended["message"]) == (0, "Completed", "done")
    assert node.run_of("good").logs[0].read_text() == "said\n"


async def test_a_bad_end_is_failed_with_its_code(pods, start):
    await start("exit 75")

    await pods.create("bad")
    status = await pods.until_ended("bad")

    assert status["phase"] == "Failed"
    assert (ended_state(status)["exitCode"], ended_state(status)["reason"]) == (75, "Error")


async def test_a_message_is_cut_to_what_a_kubelet_passes_on(pods, start):
    await start('head -c 5000 /dev/zero | tr "\\0" x > "$FACTOTUM_TERMINATION_LOG"')

    await pods.create("wordy")
    status = await pods.until_ended("wordy")

    assert len(ended_state(status)["message"]) == 4096


async def test_the_environment_comes_from_everywhere_it_may(pods, start, cluster):
    cluster.kubectl("create", "secret", "generic", "creds", "--from-literal=PASSWORD=geheim")
    cluster.kubectl("create", "configmap", "settings", "--from-literal=colour=red")
    node = await start("env", OVERLAID="yes")

    key = {"name": "settings", "key": "colour"}
    field = {"fieldPath": "metadata.name"}
    await pods.create(
        "full",
        env=[
            {"name": "COLOUR", "valueFrom": {"configMapKeyRef": key}},
            {"name": "WHO", "valueFrom": {"fieldRef": field}},
            {"name": "BOTH", "value": "$(COLOUR)-$(WHO)-$(NOBODY)-$$(WHO)"},
        ],
        env_from=[
            {"secretRef": {"name": "creds"}},
            {"prefix": "SET_", "configMapRef": {"name": "settings"}},
            {"secretRef": {"name": "missing", "optional": True}},
        ],
    )
    await pods.until_ended("full")

    variables = set(node.run_of("full").logs[0].read_text().splitlines())
    assert {
        "PASSWORD=geheim",
        "SET_colour=red",
        "COLOUR=red",
        "WHO=full",
        "BOTH=red-full-$(NOBODY)-$(WHO)",
        "HOSTNAME=full",
        "OVERLAID=yes",
    } <= variables


async def test_a_missing_secret_keeps_the_pod_waiting_until_it_is_there(pods, start, cluster):
    await start('test "$LATE" = now')

    await pods.create("patient", env_from=[{"secretRef": {"name": "late"}}])
    status = await pods.until("patient", lambda status: "containerStatuses" in status)
    waiting = status["containerStatuses"][0]["state"]["waiting"]
    cluster.kubectl("create", "secret", "generic", "late", "--from-literal=LATE=now")

    assert waiting["reason"] == "CreateContainerConfigError"
    assert (await pods.until_ended("patient"))["phase"] == "Succeeded"


async def test_the_token_is_bound_to_the_pod(pods, start, tmp_path):
    copied = tmp_path / "copied-token"
    await start(f'cp "$FACTOTUM_TOKEN_FILE" {copied}')

    await pods.create("bound")
    await pods.until_ended("bound")

    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenReview",
        "spec": {"token": copied.read_text(), "audiences": ["factotum-operator"]},
    }
    answer = json.loads(await pods.kubectl("create", "-o", "json", "-f", "-", manifest=review))
    uid = (await pods.get("bound"))["metadata"]["uid"]
    assert answer["status"]["authenticated"] is True
    assert answer["status"]["user"]["extra"]["authentication.kubernetes.io/pod-uid"] == [uid]


async def test_deletion_terminates_and_then_removes(pods, start, tmp_path):
    told = tmp_path / "told"
    await start(f"trap 'echo TERM > {told}; exit 0' TERM; while :; do sleep 0.1; done")

    await pods.create("polite")
    await pods.until("polite", lambda status: status["phase"] == "Running")
    await pods.kubectl("delete", "pod", "polite", "--grace-period=10")  # waits until it is gone

    assert told.read_text() == "TERM\n"


async def test_who_ignores_the_termination_is_killed_with_all_its_children(pods, start):
    node = await start("trap '' TERM; setsid sleep 1234567 & while :; do sleep 0.1; done")

    await pods.create("deaf")
    await pods.until("deaf", lambda status: status["phase"] == "Running")
    await pods.kubectl("delete", "pod", "deaf", "--grace-period=1")

    assert node.run_of("deaf").endings[0].exit_code == 137
    left = await asyncio.create_subprocess_exec("pgrep", "-f", "^sleep 1234567$")
    assert await left.wait() == 1  # none


async def test_a_deadline_fails_the_pod_though_its_runner_ends_well(pods, start):
    await start("trap 'exit 0' TERM; while :; do sleep 0.1; done")

    await pods.create("late", activeDeadlineSeconds=1)
    status = await pods.until_ended("late")

    assert (status["phase"], status["reason"]) == ("Failed", "DeadlineExceeded")
    assert ended_state(status)["exitCode"] == 0


async def test_a_killed_container_says_why(pods, start):
    node = await start("sleep 1000")
    await pods.create("hungry")
    await pods.until("hungry", lambda status: status["phase"] == "Running")

    node.kill_container("hungry")

    ended = ended_state(await pods.until_ended("hungry"))
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")


async def test_a_pod_that_never_starts_waits_and_can_be_deleted(pods, start):
    await start("true")

    await pods.create("stuck", annotations={"factotum.test/behaviour": "never-start"})
    status = await pods.until("stuck", lambda status: "containerStatuses" in status)
    await pods.kubectl("delete", "pod", "stuck")

    assert status["phase"] == "Pending"
    assert status["containerStatuses"][0]["state"]["waiting"]["reason"] == "ErrImagePull"


async def test_a_pod_may_be_started_twice(pods, start):
    node = await start("echo $$; sleep 1")

    await pods.create("double", annotations={"factotum.test/behaviour": "twice"})
    await pods.until_ended("double")

    run = node.run_of("double")
    assert len(run.endings) == 2
    assert run.logs[0].read_text() != run.logs[1].read_text()


async def test_a_lost_pod_runs_to_its_end_and_nobody_hears_of_it(pods, start, tmp_path):
    node = await start(f"sleep 1; touch {tmp_path}/ended")

    await pods.create("lost", annotations={"factotum.test/behaviour": "lose"})
    async with asyncio.timeout(20):
        # The node tells nobody: that is the fault.
        while not (node.runs and node.run_of("lost").endings):  # noqa: ASYNC110
            await asyncio.sleep(0.1)

    assert (tmp_path / "ended").exists()
    assert (await pods.get("lost"))["status"]["phase"] == "Running"


async def test_a_restarted_node_says_that_it_does_not_know_how_its_pods_ended(pods, start):
    first = await start("sleep 1000")
    await pods.create("forgotten")
    await pods.until("forgotten", lambda status: status["phase"] == "Running")
    await first.stop()

    await start("true")

    ended = ended_state(await pods.until_ended("forgotten"))
    assert ended["reason"] == "ContainerStatusUnknown"


async def test_pods_of_other_programs_end_well_at_once(pods, start):
    await start("exit 1")

    container = {"name": "other", "image": "any", "command": ["whatever"]}
    await pods.create("other", containers=[container])

    assert (await pods.until_ended("other"))["phase"] == "Succeeded"


@pytest.mark.parametrize(("said", "after"), [("Unknown", "True"), ("False", "False")])
async def test_a_node_that_was_given_up_for_silence_says_that_it_is_back(pods, start, said, after):
    # As the node controller writes it where a Lease was late, and as an admin might.
    ready = {"type": "Ready", "status": said, "reason": "Said", "message": ""}
    words = ["patch", "node", NODE, "--subresource=status", "--type=strategic", "-p"]
    await pods.kubectl(*words, json.dumps({"status": {"conditions": [ready]}}))

    await start("true")
    await pods.create("seen")
    await pods.until_ended("seen")
    await pods.kubectl("wait", "node", NODE, f"--for=condition=Ready={after}", "--timeout=20s")

    node = json.loads(await pods.kubectl("get", "node", NODE, "-o", "json"))
    conditions = {each["type"]: each["status"] for each in node["status"]["conditions"]}
    assert conditions["Ready"] == after


async def test_it_runs_as_a_program_too(pods, cluster, tmp_path):
    words = ["-m", "test_node", "--runner", "/bin/sh -c 'echo $GREETING'", "--env", "GREETING=hi"]
    words += ["--kubeconfig", str(cluster.kubeconfig), "--folder", str(tmp_path), NODE]
    program = await asyncio.create_subprocess_exec(
        sys.executable, *words, env={"PYTHONPATH": next(p for p in sys.path if "test-node" in p)}
    )
    try:
        await pods.create("program")
        status = await pods.until_ended("program")
    finally:
        program.terminate()
        await program.wait()

    assert status["phase"] == "Succeeded"
    assert next(tmp_path.glob("*/log-1")).read_text() == "hi\n"
    assert program.returncode == 0
