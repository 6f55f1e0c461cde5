"""Whether Consul tells of jobs what their status says."""

import json
import time
from collections.abc import Mapping

from support.cluster.kube_api import RawObject
from support.cluster.workbench import Workbench
from support.consul.process import ConsulProcess

PREFIX = "com.snowplowanalytics/factotum"
PROMISED_SECONDS = 30.0


def wrong_entries(
    bench: Workbench, consul: ConsulProcess, jobs: Mapping[str, RawObject]
) -> list[str]:
    """Give the names of jobs whose entry is missing or says something else."""
    wrong = []
    for name, job in jobs.items():
        status = job["status"]
        raw = consul.get(f"{PREFIX}/{bench.namespace}/{status['jobId']}")
        entry = json.loads(raw) if raw else {}
        seen = (entry.get("state"), entry.get("lastOutcome"))
        right_name = entry.get("jobRequest", {}).get("jobName") == f"{bench.namespace}/{name}"
        if seen != (status["state"], status["outcome"]) or not right_name:
            wrong.append(name)
    return wrong


def seconds_until_mirrored(
    bench: Workbench, consul: ConsulProcess, jobs: Mapping[str, RawObject]
) -> float:
    """Wait until every entry is right."""
    began = time.monotonic()
    while wrong := wrong_entries(bench, consul, jobs):
        if time.monotonic() - began > PROMISED_SECONDS:
            raise AssertionError(f"wrong entries after {PROMISED_SECONDS:g} s: {wrong}")
        time.sleep(0.1)
    return time.monotonic() - began
