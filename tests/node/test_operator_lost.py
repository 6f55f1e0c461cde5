"""The operator's Pod force-deleted under running jobs: every result right, no task twice.

Real: kubelet, containerd, images, chart. The tasks write their runs into their Pods' logs; a watch
keeps every Pod that ever was, so a second one cannot go unseen.
"""

import time

import pytest

from support.builders.manifests import make_factfile, make_job, make_task
from support.cluster.acceptance import report, sized
from support.cluster.clusters import ROOT
from support.cluster.kube_api import PodWatch, jobs_path
from support.cluster.pod_logs import runs_of

OPERATOR = "app.kubernetes.io/component=controller"
SYSTEM = "factotum-system"


def held(name, seconds):
    """Build a job of three tasks that each say so when they begin."""
    commands = (f"sleep {seconds}", f"sleep {seconds}", "exit 3" if name.endswith("7") else "true")
    tasks = [
        make_task(
            f"t{n}",
            *([f"t{n - 1}"] if n else []),
            command=f"echo 'RUN t{n}'; {command}",
            arguments=[],
        )
        for n, command in enumerate(commands)
    ]
    return make_factfile(data={"name": name, "tasks": tasks})


@pytest.fixture
def workers(kubelet):
    """More workers than usual, so that all jobs run when the operator is lost."""
    chart = str(ROOT / "charts" / "factotum-operator")
    upgrade = ("upgrade", "factotum-operator", chart, "-n", SYSTEM, "--reuse-values", "--wait")
    kubelet.run("helm", *upgrade, "--set", "maxWorkers=50")
    yield 50
    kubelet.run("helm", *upgrade, "--set", "maxWorkers=20")


@pytest.mark.acceptance
def test_jobs_survive_the_loss_of_the_operators_pod(kubelet, api, namespace, workers):
    jobs, losses = sized(50, 8), sized(5, 2)
    # Long enough for the next Pod to lead: the Lease of one that was lost counts for twelve.
    between = 16
    names = [f"job-{n}" for n in range(jobs)]
    uids = {}
    with PodWatch(api, namespace) as watch:
        for name in names:
            manifest = make_job(namespace, held(name, between * losses // 2 + 4), name=name)
            uids[name] = api.create_job(manifest)["metadata"]["uid"]
        began = time.monotonic()
        running_at_losses = []
        for number in range(losses):
            # The first loss falls on the launches.
            time.sleep(between if number else 2)
            states = [j.get("status", {}).get("state") for j in api.items(jobs_path(namespace))]
            running_at_losses.append(states.count("WORKING"))
            kubelet.kubectl(
                *("delete", "pod", "-n", SYSTEM, "-l", OPERATOR, "--force", "--grace-period=0")
            )
        ended = api.wait_all_done(namespace, seconds=200)
        spanned = time.monotonic() - began
        pods = {name: watch.of_job(uid) for name, uid in uids.items()}

    wrong = [
        name
        for name, job in ended.items()
        if job["status"]["outcome"] != ("FAILED" if name.endswith("7") else "SUCCEEDED")
        or [t["state"] for t in job["status"]["tasks"]][:2] != ["SUCCEEDED", "SUCCEEDED"]
    ]
    runs = {
        name: [run for pod in made for run in runs_of(kubelet, namespace, pod["metadata"]["name"])]
        for name, made in pods.items()
    }
    twice = [name for name, found in runs.items() if found != ["t0", "t1", "t2"]]
    report(
        "5 operator Pod lost",
        jobs=jobs,
        workers=workers,
        losses=losses,
        working_at_losses="/".join(map(str, running_at_losses)),
        seconds=spanned,
        right=jobs - len(wrong),
        jobs_with_a_task_twice_or_lost=len(twice),
        pods=sum(map(len, pods.values())),
    )
    assert wrong == []
    assert twice == []
