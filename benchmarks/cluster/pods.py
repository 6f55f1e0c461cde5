"""The Pod that the operator makes for a job, for others to make: with all that hardens it.

Its container has another name and command, so that the test node plays no runner for it: it asks
for the token, starts and ends.
"""

from collections.abc import Mapping
from typing import Any

from factotum.controller.apply.manifest import build_runner_pod
from factotum.controller.facts.observed import AnyNode
from factotum.controller.settings import Settings
from factotum.kube.resource import FactotumJob
from support.builders.jobs import make_plan, raw_job
from support.http.certificates import loopback

PLAN = make_plan("t0")


def runner_pod(raw: Mapping[str, Any], image: str) -> dict[str, Any]:
    """Build the Pod of a job, owned by whatever kind it is of."""
    settings = Settings(runner_image=image, claims_url="https://127.0.0.1:38080")
    job = FactotumJob.from_raw(raw)
    pod = build_runner_pod(job, PLAN, AnyNode(), settings, loopback().trusted)
    pod["spec"]["containers"][0] |= {"name": "main", "command": ["true"]}
    pod["metadata"]["ownerReferences"][0] |= {"apiVersion": raw["apiVersion"], "kind": raw["kind"]}
    return pod


def template(image: str) -> dict[str, Any]:
    """Build it as the template of a native Job, which puts name and owner to it."""
    pod = runner_pod(raw_job(), image)
    metadata = {key: pod["metadata"][key] for key in ("labels", "annotations")}
    return {"metadata": metadata, "spec": pod["spec"]}
