"""What people lay over their jobs' Pods, on the API server: merged, refused, and let in.

Real: the API server with Pod Security, quotas and LimitRanges, the chart's webhook, the operator's
process, nodes that are played with the real runner. What only a kubelet does is shown on one.
"""

import json
import time
from datetime import UTC, datetime

import pytest

from factotum.controller.apply.manifest import build_runner_pod
from factotum.controller.settings import Settings
from factotum.kube.resource import FactotumJob, format_time
from support.builders.jobs import make_plan
from support.builders.manifests import make_factfile, make_job, make_task
from support.cluster.kube_api import ApiRefusedError, jobs_path, pods_path
from support.pod_templates.rows import ACCOUNT, CLASS, before, beside, over, runner
from support.pod_templates.table import MERGES, REFUSALS

pytestmark = pytest.mark.cluster

CLAIM = "c" * 32
CLASSES = (
    ("/apis/scheduling.k8s.io/v1/priorityclasses", {"value": 1000}),
    ("/apis/node.k8s.io/v1/runtimeclasses", {"handler": "sandboxed"}),
)


def timestamp():
    return format_time(datetime.now(UTC))


@pytest.fixture
def classes(bench):
    """A priority class and a runtime class."""
    for path, fields in CLASSES:
        bench.api.create(path, {"metadata": {"name": CLASS}} | fields)
    yield
    for path, _ in CLASSES:
        bench.api.delete(f"{path}/{CLASS}")


def put(bench, kind, name, **fields):
    path = f"/api/v1/namespaces/{bench.namespace}/{kind}"
    return bench.api.create(path, {"metadata": {"name": name}} | fields)


def enforce(bench, level):
    labels = {"pod-security.kubernetes.io/enforce": level}
    bench.api.patch(f"/api/v1/namespaces/{bench.namespace}", {"metadata": {"labels": labels}})


# --- the table ------------------------------------------------------------------------


def made_of(bench, row):
    """Return the Pod of a job of this namespace as the operator builds it."""
    job = FactotumJob.from_raw(
        {
            "metadata": {
                "namespace": bench.namespace,
                "name": "job",
                "uid": "11111111-2222-3333-4444-555555555555",
                "resourceVersion": "1",
                "creationTimestamp": timestamp(),
            },
            "spec": {"factfile": {}} | row.spec,
        }
    )
    return build_runner_pod(job, make_plan(), row.host, Settings(), "CA")


@pytest.mark.usefixtures("classes")
def test_each_merge_is_a_pod_that_the_api_server_takes_under_pod_security(bench):
    annotations = {"eks.amazonaws.com/role-arn": "arn:aws:iam::111122223333:role/loader"}
    path = f"/api/v1/namespaces/{bench.namespace}/serviceaccounts"
    bench.api.create(path, {"metadata": {"name": ACCOUNT, "annotations": annotations}})
    wrong = {}
    for level in ("baseline", "restricted"):
        enforce(bench, level)
        for row in MERGES:
            body = made_of(bench, row)
            query = "?dryRun=All&fieldValidation=Strict"
            try:
                pod = bench.api.create(f"{pods_path(bench.namespace)}{query}", body)
            except ApiRefusedError as error:
                wrong[level, row.name] = str(error)
                continue
            if (found := row.found(pod)) != row.expected:
                wrong[level, row.name] = found

    assert wrong == {}
    assert len(MERGES) >= 30


def test_each_refusal_is_told_at_apply_and_by_the_operator(bench):
    names = {f"row-{number}": row for number, row in enumerate(REFUSALS)}
    with bench.operator() as operator:
        for name, row in names.items():
            # Nobody is asked yet: they are stored, as any job while the operator is away.
            bench.api.create_job(make_job(bench.namespace, name=name, **row.spec))
        assert store(bench, nested_without_end(bench, **REFUSALS[0].spec)) == 201
        jobs = bench.api.wait_all_done(bench.namespace, seconds=60)
        by_operator = {name: job["status"] for name, job in jobs.items()}
        pods = bench.api.items(pods_path(bench.namespace))

        operator.be_asked()
        at_apply = {name: refusal(bench, row) for name, row in names.items()}

    # It holds up nobody, and is refused as the others.
    assert by_operator["endless"]["message"] == by_operator["row-0"]["message"]
    for name, row in names.items():
        status = by_operator[name]
        assert (status["outcome"], status["reason"]) == ("FAILED", "InvalidPodTemplate"), row.name
        for told in (status["message"], at_apply[name]):
            assert f"{row.path}: " in told, row.name
            assert row.words in told, row.name
    assert pods == []
    assert len(REFUSALS) >= 30


def refusal(bench, row):
    """Return what is said of a job that is to be made; a configuration is obeyed a moment later."""
    deadline = time.monotonic() + 30
    while True:
        try:
            job = make_job(bench.namespace, name="new", **row.spec)
            bench.api.create(f"{jobs_path(bench.namespace)}?dryRun=All", job)
        except ApiRefusedError as error:
            return str(error)
        assert time.monotonic() < deadline, f"{row.name} is not refused"
        time.sleep(0.1)


def nested_without_end(bench, **spec):
    """Write a job whose template has more levels than a program can read."""
    template = {"spec": spec["podTemplate"]["spec"] | {"odd": "DEEP"}}
    job = make_job(bench.namespace, name="endless", **spec | {"podTemplate": template})
    deep = '{"a":' * 5_000 + "1" + "}" * 5_000
    return json.dumps(job).replace('"DEEP"', deep).encode()


def store(bench, body):
    """Create a job as it is written, and return the status of the answer."""
    connection = bench.api.connect()
    try:
        headers = {"Content-Type": "application/json"}
        connection.request("POST", jobs_path(bench.namespace), body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


# --- namespaces with quotas and limits ------------------------------------------------


def test_a_namespace_with_a_quota_on_limits_is_served_by_resources_and_by_defaults(bench):
    put(bench, "resourcequotas", "q", spec={"hard": {"limits.cpu": "4", "limits.memory": "4Gi"}})
    bound = {"limits": {"cpu": "1", "memory": "1Gi"}}
    with bench.nodes():
        with bench.operator(name="first"):
            bench.create(make_factfile(make_task("a")), name="unbounded")
            waiting = bench.api.wait_state(
                bench.namespace, "unbounded", "QUEUED", reason="PodForbidden"
            )
            # With an image of its own two containers need limits.
            bench.create(make_factfile(make_task("b")), name="own", image="i:1", resources=bound)
            own = bench.done("own")
        flag = '--runner-resources={"limits": {"cpu": "500m", "memory": "64Mi"}}'
        with bench.operator(flag, name="second"):
            by_default = bench.done("unbounded")

    assert "must specify limits" in waiting["message"]
    assert (own["outcome"], by_default["outcome"]) == ("SUCCEEDED", "SUCCEEDED")


def test_a_limit_range_with_least_and_most_is_served(bench):
    limits = {"type": "Container", "min": {"memory": "64Mi"}, "max": {"memory": "128Mi"}}
    put(bench, "limitranges", "range", spec={"limits": [limits]})
    fits = {"requests": {"memory": "64Mi"}, "limits": {"memory": "128Mi"}}
    with bench.nodes(), bench.operator():
        bench.create(make_factfile(make_task("a")), name="less")
        less = bench.api.wait_state(bench.namespace, "less", "QUEUED", reason="PodForbidden")
        bench.create(
            make_factfile(make_task("b")), name="more", resources={"limits": {"memory": "1Gi"}}
        )
        more = bench.api.wait_state(bench.namespace, "more", "QUEUED", reason="PodForbidden")
        bench.create(make_factfile(make_task("c")), name="fits", resources=fits)
        status = bench.done("fits")

    assert "minimum memory usage per Container is 64Mi" in less["message"]
    assert "maximum memory usage per Container is 128Mi" in more["message"]
    assert status["outcome"] == "SUCCEEDED"


# --- containers before and beside the tasks -------------------------------------------


def container_status(name, **state):
    """Return what a kubelet says of a container."""
    return {
        "name": name,
        "image": "i",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": state,
    }


def ended(code, **more):
    times = {"startedAt": timestamp(), "finishedAt": timestamp()}
    reason = "Error" if code else "Completed"
    return {"terminated": {"exitCode": code, "reason": reason} | times | more}


def say(bench, pod, **status):
    """Be the kubelet of a Pod."""
    bench.api.patch(f"{pods_path(bench.namespace, pod)}/status", {"status": status})


def test_a_sidecar_that_is_slow_to_end_holds_neither_the_verdict_nor_the_worker(bench):
    with bench.operator("--max-workers=1") as operator:
        uid = bench.create_by_hand(make_factfile(make_task("a")), **beside())
        side = bench.pod_side(operator, uid)
        running = {"running": {"startedAt": timestamp()}}
        sidecar = [container_status("proxy", **running)]
        say(
            bench,
            side.name,
            phase="Running",
            initContainerStatuses=sidecar,
            containerStatuses=[container_status("factotum", **running)],
        )
        assert side.claim(CLAIM)[0] == 200
        assert side.report(CLAIM, 2, "S", final=True)[0] == 200
        status = bench.status()
        second = bench.create_by_hand(make_factfile(make_task("b")), name="second")
        bench.api.wait_state(bench.namespace, "second", "QUEUED", reason="WaitingForWorker")
        # As a kubelet has it: the container of the tasks has ended, and then it ends the sidecar.
        say(bench, side.name, containerStatuses=[container_status("factotum", **ended(0))])
        bench.api.wait_pod(bench.namespace, second)
        pod = bench.api.get(pods_path(bench.namespace, side.name))

    assert (status["state"], status["outcome"]) == ("DONE", "SUCCEEDED")
    assert pod["status"]["phase"] == "Running"
    assert pod["status"]["initContainerStatuses"][0]["state"].keys() == {"running"}


def test_a_runner_that_dies_beside_a_sidecar_is_lost_though_the_pod_runs(bench):
    with bench.operator() as operator:
        side = bench.pod_side(operator, bench.create_by_hand(**beside()))
        assert side.claim(CLAIM)[0] == 200
        running = {"running": {"startedAt": timestamp()}}
        say(
            bench,
            side.name,
            phase="Running",
            initContainerStatuses=[container_status("proxy", **running)],
            containerStatuses=[container_status("factotum", **ended(137))],
        )
        status = bench.done()

    assert (status["outcome"], status["reason"]) == ("FAILED", "Lost")


def test_an_init_container_that_fails_is_named_and_no_task_has_started(bench):
    with bench.operator() as operator:
        uid = bench.create_by_hand(**before())
        side = bench.pod_side(operator, uid)
        say(
            bench,
            side.name,
            phase="Failed",
            initContainerStatuses=[container_status("fetch", **ended(3, message="a secret"))],
            containerStatuses=[container_status("factotum", waiting={"reason": "PodInitializing"})],
        )
        job = bench.api.wait_for(
            jobs_path(bench.namespace, "job"),
            lambda job: (job.get("status") or {}).get("launch") == 2,
            "at its second launch",
        )

    assert job["status"]["reason"] == "Relaunching"
    assert job["status"]["message"].endswith("init container fetch failed: Error, exit code 3")
    assert "claim" not in job["status"]


# --- queues of others -----------------------------------------------------------------


def test_a_gated_pod_waits_without_a_worker_until_its_gate_is_opened(bench):
    labels = {"kueue.x-k8s.io/queue-name": "etl"}
    gated = over(schedulingGates=[{"name": "kueue.x-k8s.io/admission"}])
    gated["podTemplate"]["metadata"] = {"labels": labels}
    with bench.nodes(), bench.operator("--max-workers=1"):
        uid = bench.create(make_factfile(make_task("a")), name="gated", **gated)
        pod = bench.api.wait_pod(bench.namespace, uid)
        bench.create(make_factfile(make_task("b")), name="other")
        other = bench.done("other")
        waiting = bench.api.wait_state(bench.namespace, "gated", "QUEUED", reason="SchedulingGated")
        path = pods_path(bench.namespace, pod["metadata"]["name"])
        bench.api.patch(path, {"spec": {"schedulingGates": []}})
        status = bench.done("gated")

    assert other["outcome"] == "SUCCEEDED"
    assert pod["metadata"]["labels"].items() >= labels.items()
    assert waiting["state"] == "QUEUED"
    assert (status["outcome"], status["launch"]) == ("SUCCEEDED", 1)


# --- what tasks see -------------------------------------------------------------------


def test_tasks_see_variables_of_the_template_and_none_of_ours(bench):
    given = [
        {"name": "FACTOTUM_OPERATOR_URL", "value": "https://192.0.2.1"},
        {"name": "PYTHONPATH", "value": "/work"},
        {"name": "GREETING", "value": "hello $(FACTOTUM_JOB_UID)"},
        {"name": "BOTH", "value": "$(GREETING), $$(GREETING)"},
    ]
    said = bench.folder / "said"
    task = make_task("look", command=f"env > {said}", arguments=[])
    with bench.nodes(), bench.operator():
        bench.create(make_factfile(task), **runner(env=given))
        status = bench.done()

    seen = dict(line.split("=", 1) for line in said.read_text().splitlines() if "=" in line)
    assert status["outcome"] == "SUCCEEDED"
    assert seen["FACTOTUM_OPERATOR_URL"] == "https://192.0.2.1"
    assert seen["PYTHONPATH"] == "/work"
    assert {"FACTOTUM_JOB_UID", "FACTOTUM_OPERATOR_CA"}.isdisjoint(seen)
    assert not any(name.startswith("FACTOTUM_TASK_") for name in seen)
