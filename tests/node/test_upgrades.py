"""A release's life: installed on a cluster that knows nothing of us, upgraded, rolled back, gone.

Real: helm, kubelet, containerd, images, and the chart of before this one was worked over. The tasks
write their runs into their Pods' logs; a watch keeps every Pod that ever was.
"""

import time

import pytest

from support.builders.manifests import make_factfile, make_job, make_task
from support.cluster import before
from support.cluster.acceptance import is_full, report, sized
from support.cluster.clusters import CRD, ROOT
from support.cluster.kube_api import PodWatch, jobs_path, pods_path
from support.cluster.pod_logs import runs_of

CHART = str(ROOT / "charts" / "factotum-operator")
SYSTEM = "factotum-system"
OURS = (
    "deployments,replicasets,pods,services,configmaps,secrets,serviceaccounts,roles,rolebindings,"
    "networkpolicies,poddisruptionbudgets,leases"
)
CLUSTER_WIDE = "clusterroles,clusterrolebindings,validatingwebhookconfigurations,crds"


pytestmark = pytest.mark.usefixtures("without_release")


def helm(kubelet, *words):
    return kubelet.run("helm", *words, "-n", SYSTEM, timeout=200)


def left(kubelet):
    """List what there is of ours besides jobs, without what Kubernetes makes by itself."""
    # Helm waits for Deployments; what they made goes after them.
    gone = ("--for=delete", "-l", "app.kubernetes.io/name=factotum-operator", "--timeout=60s")
    kubelet.kubectl("wait", "replicasets,pods", "-n", SYSTEM, *gone)
    names = kubelet.kubectl("get", OURS, "-n", SYSTEM, "-o", "name").split()
    names += kubelet.kubectl("get", CLUSTER_WIDE, "-o", "name").split()
    return {name for name in names if "factotum" in name}


def test_from_nothing_to_the_first_job_in_three_commands(kubelet):
    words = (
        ("helm", "install", "factotum-operator", CHART, "--namespace", SYSTEM,
         "--create-namespace", "--wait", "--timeout=120s"),
        ("kubectl", "apply", "-f", str(ROOT / "examples" / "echo.yaml")),
        ("kubectl", "wait", "fj/echo", "--for=jsonpath={.status.state}=DONE", "--timeout=60s"),
    )  # fmt: skip
    began = time.monotonic()
    after = []
    for command in words:
        kubelet.run(*command, timeout=200)
        after.append(round(time.monotonic() - began, 1))

    assert kubelet.get("fj", "echo")["status"]["outcome"] == "SUCCEEDED"
    kubelet.kubectl("delete", "fj", "echo")
    report("9.4 clean install", commands=len(words), seconds="/".join(map(str, after)))


def test_helm_test_is_content(kubelet):
    assert "Succeeded" in helm(kubelet, "test", "factotum-operator", "--logs")


def make_held_job(namespace, name):
    """Build a job that goes on when it is let."""
    commands = ("true", "until [ -e /work/go ]; do sleep 0.2; done", "true")
    tasks = [
        make_task(
            f"t{n}",
            *([f"t{n - 1}"] if n else []),
            command=f"echo 'RUN t{n}'; {command}",
            arguments=[],
        )
        for n, command in enumerate(commands)
    ]
    return make_job(namespace, make_factfile(data={"name": name, "tasks": tasks}), name=name)


def let(kubelet, pods):
    for pod in pods:
        metadata = pod["metadata"]
        place = ("-n", metadata["namespace"], metadata["name"], "-c", "factotum")
        kubelet.kubectl("exec", *place, "--", "touch", "/work/go")


def install_older(kubelet):
    """Install the chart of before, with the images of then where there is time to build them."""
    images = []
    if is_full():
        kubelet.load(*map(str, before.images()))
        images = [f"image.tag={before.VERSION}", f"runner.image.tag={before.VERSION}"]
    sets = [word for value in (*images, "maxWorkers=50") for word in ("--set", value)]
    words = ("install", "factotum-operator", str(before.CHART), "--create-namespace", *sets)
    helm(kubelet, *words, "--wait")


def upgrade(kubelet):
    """Bring this chart, with the values that were given to the older one."""
    tags = [word for tag in ("image.tag=", "runner.image.tag=") for word in ("--set", tag)]
    words = ("upgrade", "factotum-operator", CHART, "--reuse-values", *tags, "--wait")
    helm(kubelet, *words)


@pytest.mark.timeout(600)
@pytest.mark.longer
def test_jobs_go_on_over_upgrade_rollback_and_uninstall(kubelet, api, namespace):
    jobs = sized(20, 4)
    helm(kubelet, "uninstall", "factotum-operator", "--ignore-not-found", "--wait")
    install_older(kubelet)
    names = [f"job-{n}" for n in range(jobs)]
    took, states = {}, {}

    def step(name, do, *words):
        began = time.monotonic()
        do(kubelet, *words)
        took[name] = round(time.monotonic() - began, 1)
        found = [job["status"]["state"] for job in api.items(jobs_path(namespace))]
        states[name] = found.count("WORKING")

    with PodWatch(api, namespace) as watch:
        uids = {
            name: api.create_job(make_held_job(namespace, name))["metadata"]["uid"]
            for name in names
        }
        for name in names:
            api.wait_state(namespace, name, "WORKING")
        running = {uid: watch.of_job(uid)[0] for uid in uids.values()}
        step("upgrade", upgrade)
        step("rollback", helm, "rollback", "factotum-operator", "1", "--wait")
        step("uninstall", helm, "uninstall", "factotum-operator", "--wait")
        remains = left(kubelet)
        alone = [pod["status"]["phase"] for pod in api.items(pods_path(namespace))]
        early, late = list(running.values())[::2], list(running.values())[1::2]
        let(kubelet, early)  # they end without any operator
        step("install", helm, "install", "factotum-operator", CHART, "--wait")
        let(kubelet, late)
        ended = api.wait_all_done(namespace, seconds=180)
        pods = {uid: [p["metadata"]["uid"] for p in watch.of_job(uid)] for uid in uids.values()}

    runs = {
        name: runs_of(kubelet, namespace, job["status"]["claim"]["podName"])
        for name, job in ended.items()
    }
    report(
        "9.4 upgrade, rollback, uninstall with jobs running",
        jobs=jobs,
        older_images=is_full(),
        working_after="/".join(f"{name}:{count}" for name, count in states.items()),
        seconds="/".join(f"{name}:{number}" for name, number in took.items()),
        succeeded=[job["status"]["outcome"] for job in ended.values()].count("SUCCEEDED"),
        pods=sum(map(len, pods.values())),
    )
    assert {job["status"]["outcome"] for job in ended.values()} == {"SUCCEEDED"}
    assert {job["status"]["attempt"] for job in ended.values()} == {1}
    same = {uid: [pod["metadata"]["uid"]] for uid, pod in running.items()}
    assert pods == same, "the same Pods, and no others"
    assert set(map(tuple, runs.values())) == {("t0", "t1", "t2")}, "each task once"
    assert alone == ["Running"] * jobs, "without an operator they go on"
    assert (states["upgrade"], states["rollback"], states["uninstall"]) == (jobs,) * 3
    assert remains == {
        f"customresourcedefinition.apiextensions.k8s.io/{CRD}",
        "lease.coordination.k8s.io/factotum-operator",
        "secret/factotum-operator-tls",
    }
