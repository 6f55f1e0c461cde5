"""The controller killed again and again under running jobs: every result right, no task twice.

Real: the API server with our chart, the operator's process and its kills, a test node with the
real runner as local processes, Consul. The tasks themselves write their runs to a file.
"""

import os
import random
import time

import pytest

from support.cluster.acceptance import report, sized
from support.cluster.kube_api import PodWatch, pods_path
from support.cluster.workbench import Workbench, states
from support.consul.entries import seconds_until_mirrored
from support.consul.process import ConsulProcess

pytestmark = pytest.mark.cluster

OBLIGING = "trap 'exit 0' TERM; sleep 60 & wait"


def until(gate):
    """Give a command that waits for a file."""
    return f"while [ ! -e '{gate}' ]; do sleep 1; done"


def expectations(kind, gate):
    """Give a job's commands and what is to come of it, for four kinds of job."""
    hold = until(gate)
    return {
        "good": (("true", hold, "true"), "SUCCEEDED", "SSS"),
        "failing": ((hold, "exit 3", "true"), "FAILED", "SFK"),
        "early-end": ((hold, "exit 99", "true"), "SUCCEEDED", "SNK"),
        "slow-end": (("true", hold, "sleep 4"), "SUCCEEDED", "SSS"),
    }[kind]


LETTERS = {
    "SUCCEEDED": "S",
    "SUCCEEDED_NO_OP": "N",
    "FAILED": "F",
    "SKIPPED": "K",
    "WAITING": "W",
    "RUNNING": "R",
}


def make(bench, name, commands):
    factfile = bench.book.chain(name, *commands)
    for task in factfile["data"]["tasks"]:
        task["onResult"]["terminateJobWithSuccess"] = [99]
    return bench.create(factfile, name=name, constraints={"host": "fake-1"})


@pytest.mark.consul
@pytest.mark.longer
def test_jobs_survive_a_controller_that_is_killed_again_and_again(bench: Workbench, tmp_path):
    jobs, kills = sized(50, 12), sized(20, 5)
    # Other moments with another SEED.
    chance = random.Random(os.environ.get("SEED", "7"))  # noqa: S311 - no secrets
    gates = [bench.folder / f"gate-{n}" for n in range(4)]
    expected, uids = {}, {}
    kinds = ("good", "failing", "early-end", "slow-end")
    consul = ConsulProcess.keeping(tmp_path / "consul")
    operator = bench.operator(f"--max-workers={jobs + kills}", f"--consul-address={consul.address}")
    with consul, bench.nodes(), PodWatch(bench.api, bench.namespace) as watch, operator:
        for number in range(jobs):
            name = f"{kinds[number % 4]}-{number}"
            commands, outcome, letters = expectations(kinds[number % 4], gates[number // 4 % 4])
            expected[name] = (outcome, letters)
            uids[name] = make(bench, name, commands)
        began = time.monotonic()
        for number in range(kills):
            # From the first Pod's creation on; later ones at any moment, also while it starts.
            time.sleep(chance.uniform(0.2, sized(5, 3)))
            operator.kill()
            operator.start()
            name = f"short-{number}"
            expected[name] = ("SUCCEEDED", "SS")
            uids[name] = make(bench, name, ("true", "true"))
            opened = number - (kills - 4)
            if opened >= 0:
                gates[opened].touch()
        ended = bench.api.wait_all_done(bench.namespace, seconds=150)
        spanned = time.monotonic() - began
        operator.wait_ready()
        mirrored = seconds_until_mirrored(bench, consul, ended)
        pods = {name: len(watch.of_job(uid)) for name, uid in uids.items()}

    wrong = {}
    for name, (outcome, letters) in expected.items():
        status = ended[name]["status"]
        got = "".join(LETTERS[state] for state in states(status).values())
        if (status["outcome"], got) != (outcome, letters):
            wrong[name] = (outcome, letters, status["outcome"], got, status["reason"])
    runs = bench.book.counts()
    tasks = sum(len(letters.replace("K", "")) for _, letters in expected.values())
    report(
        "5 kills",
        jobs=jobs,
        short_jobs=kills,
        kills=operator.starts - 1,
        seconds=spanned,
        right=len(expected) - len(wrong),
        tasks_run=runs.total(),
        tasks_expected=tasks,
        tasks_run_twice=len(bench.book.twice()),
        jobs_with_several_pods=sum(count > 1 for count in pods.values()),
        consul_right_after_seconds=mirrored,
    )
    assert wrong == {}
    assert bench.book.twice() == []
    assert runs.total() == tasks


@pytest.mark.acceptance
def test_pod_deleted_while_the_controller_is_away_is_no_success(bench: Workbench):
    with bench.nodes():
        operator = bench.operator()
        with operator:
            uid = bench.create(bench.book.chain("job", OBLIGING))
            while bench.book.counts().total() == 0:
                time.sleep(0.1)
            operator.kill()
            (pod,) = bench.api.pods_of(bench.namespace, uid)
            bench.api.delete(pods_path(bench.namespace, pod["metadata"]["name"]))
            deadline = time.monotonic() + 60
            while bench.api.pods_of(bench.namespace, uid):
                assert time.monotonic() < deadline, "the Pod does not end"
                time.sleep(0.2)
            operator.start()
            began = time.monotonic()
            status = bench.done(seconds=90)
            waited = time.monotonic() - began

    assert (status["outcome"], status["reason"]) == ("FAILED", "Lost")
    assert bench.book.twice() == []
    report("5 Pod gone unseen", outcome="FAILED", reason=status["reason"], after_seconds=waited)
