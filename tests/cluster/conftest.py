"""What the attacks need: a namespace of somebody else, and a resource definition without names."""

import copy
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from support.builders.manifests import make_factfile, make_job, make_task
from support.cluster.kube_api import ApiRefusedError, jobs_path
from support.cluster.operator_process import Installation
from support.cluster.people import SECRET_WORD
from support.cluster.workbench import Workbench

CRD = (
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    "/factotumjobs.factotum.snowplowanalytics.com"
)


@pytest.fixture
def victim(bench: Workbench) -> str:
    """A namespace of somebody else, with things in it that nobody outside may know."""
    api, namespace = bench.api, f"{bench.namespace[:50]}-victim"
    api.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    root = f"/api/v1/namespaces/{namespace}"
    factfile = make_factfile(make_task("a", command=SECRET_WORD))
    for name in ("hidden", "other"):
        data = {"k": json.dumps(factfile), "word": SECRET_WORD}
        api.create(f"{root}/configmaps", {"metadata": {"name": name}, "data": data})
        api.create(f"{root}/secrets", {"metadata": {"name": name}, "stringData": data})
    api.wait_for(f"{root}/serviceaccounts/default", lambda _: True, "there")
    return namespace


@pytest.fixture
def open_schema(installation: Installation, bench: Workbench) -> Iterator[None]:
    """A definition without a word on names: as objects were stored before it said any."""
    api = installation.api
    before = api.get(CRD)
    opened = copy.deepcopy(before)
    for version in opened["spec"]["versions"]:
        _open(version["schema"]["openAPIV3Schema"]["properties"]["spec"])
    api.request("PUT", CRD, opened)
    _wait(bench, takes_odd_names=True)
    yield
    closed = api.get(CRD) | {"spec": before["spec"]}
    api.request("PUT", CRD, closed)
    _wait(bench, takes_odd_names=False)


def _wait(bench: Workbench, *, takes_odd_names: bool) -> None:
    """Wait until the API server goes by the definition that it was given."""
    deadline = time.monotonic() + 30
    while _takes_odd_names(bench) is not takes_odd_names:
        assert time.monotonic() < deadline, "the definition does not come into force"
        time.sleep(0.1)


def _takes_odd_names(bench: Workbench) -> bool | None:
    """Tell whether a job may name objects as it likes; None if it cannot be told now."""
    reference = {"configMapKeyRef": {"name": "../x", "key": "../x"}}
    job = make_job(bench.namespace, name="probe", factfileFrom=reference)
    try:
        bench.api.request("POST", f"{jobs_path(bench.namespace)}?dryRun=All", job)
    except ApiRefusedError as error:
        return False if error.status == 422 else None
    return True


def _open(schema: Any) -> None:
    """Take away what the definition says of texts: patterns, lengths, rules."""
    if isinstance(schema, list):
        for part in schema:
            _open(part)
    elif isinstance(schema, dict):
        if schema.get("type") == "string":
            for word in ("pattern", "minLength", "maxLength", "format"):
                schema.pop(word, None)
        schema.pop("x-kubernetes-validations", None)
        for part in schema.values():
            _open(part)
