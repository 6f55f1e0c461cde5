"""Factfiles of 1,000 and 2,000 tasks from ConfigMaps, next to a shell script of the same commands.

Real: kubelet, containerd, images, chart. The script runs each command as the runner does, by a
`sh -c` of its own: one after the other for the chain, all at once for the wide one.
"""

import json
import re
import time
from datetime import datetime

import pytest

from support.builders.manifests import make_factfile, make_job, make_task
from support.cluster import bare_pods
from support.cluster.acceptance import report, sized
from support.cluster.kube_api import jobs_path, pods_path

STATUS_LIMIT = 128 * 1024
OBJECT_LIMIT = 1024 * 1024


def chain(count):
    return make_factfile(
        *(make_task(f"task-{n}", *([f"task-{n - 1}"] if n else [])) for n in range(count))
    )


def wide(count):
    return make_factfile(*(make_task(f"task-{n}") for n in range(count)))


def layered(count):
    """Build levels of fifty tasks, each task after two of the level above."""
    tasks = []
    for n in range(count):
        level, place = divmod(n, 50)
        above = [(level - 1) * 50 + (place + shift) % 50 for shift in (0, 1)] if level else []
        tasks.append(make_task(f"task-{n}", *(f"task-{a}" for a in above)))
    return make_factfile(*tasks)


def script_of(factfile, *, at_once):
    lines = [f"sh -c 'echo \"{task['name']}\"'" for task in factfile["data"]["tasks"]]
    joined = (" &\n" if at_once else "\n").join(lines)
    return f"date +%s.%N\n{joined}" + (" &\nwait" if at_once else "") + "\ndate +%s.%N\n"


def seconds_of_script(api, kubelet, namespace, script):
    began = time.time()
    api.create(pods_path(namespace), bare_pods.make_pod(namespace, "script", script))
    bare_pods.wait_ended(api, namespace, "script", seconds=180)
    whole = time.time() - began
    moments = [
        float(line)
        for line in kubelet.kubectl("logs", "-n", namespace, "script").splitlines()
        if line[:1].isdigit()
    ]
    return whole, moments[-1] - moments[0]


def seconds_between_starts(log):
    """Give the time from the first task's start to the last one's, which is over at once."""
    starts = re.findall(r"was started at (\S+ [\d:]+\.\d{6})", log)
    moments = [datetime.fromisoformat(start) for start in starts]
    return (max(moments) - min(moments)).total_seconds()


@pytest.mark.acceptance
@pytest.mark.parametrize(
    ("shape", "count"),
    [("chain", 1000), ("wide", 1000), ("layered", 2000)],
    ids=["chain", "wide", "layered-2000"],
)
def test_big_factfile_runs_and_its_object_stays_small(kubelet, api, namespace, shape, count):
    count = sized(count, count // 4)
    factfile = {"chain": chain, "wide": wide, "layered": layered}[shape](count)
    text = json.dumps(factfile)
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    api.create(path, {"metadata": {"name": "big"}, "data": {"big.factfile": text}})
    script = script_of(factfile, at_once=shape == "wide")
    script_whole, script_inside = seconds_of_script(api, kubelet, namespace, script)

    reference = {"configMapKeyRef": {"name": "big", "key": "big.factfile"}}
    began = time.time()
    api.create_job(make_job(namespace, name="big", factfileFrom=reference))
    status = api.wait_done(namespace, "big", seconds=240)
    whole = time.time() - began
    job = api.get(jobs_path(namespace, "big"))
    bare_pods.wait_ended(api, namespace, status["claim"]["podName"])
    log = kubelet.kubectl("logs", "-n", namespace, status["claim"]["podName"])

    kept = status["tasks"]
    report(
        f"7 {shape} {count}",
        outcome=status["outcome"],
        progress=status["progress"],
        factfile_bytes=len(text),
        object_bytes=len(json.dumps(job, separators=(",", ":"))),
        status_bytes=len(json.dumps(status, separators=(",", ":"))),
        tasks_in_status=len(kept),
        job_seconds=whole,
        job_inside_seconds=seconds_between_starts(log),
        script_seconds=script_whole,
        script_inside_seconds=script_inside,
        ratio=whole / script_whole,
    )
    assert (status["outcome"], status["progress"]) == ("SUCCEEDED", f"{count}/{count}")
    assert {task["state"] for task in kept} == {"SUCCEEDED"}
    assert len(kept) == count
    assert len(json.dumps(status, separators=(",", ":"))) <= STATUS_LIMIT
    assert len(json.dumps(job, separators=(",", ":"))) <= OBJECT_LIMIT
