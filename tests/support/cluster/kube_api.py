"""The Kubernetes API as tests ask it: synchronous, raw JSON, administrator's rights.

A client of its own, so that a fault in the operator's cannot hide here. Quicker than a kubectl
per question: the checks poll many jobs on a machine that is busy with them.
"""

import base64
import contextlib
import http.client
import json
import ssl
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

import yaml

GROUP = "/apis/factotum.snowplowanalytics.com/v1alpha1"
MERGE_PATCH = "application/merge-patch+json"

RawObject = dict[str, Any]


class ApiRefusedError(Exception):
    """The API server said no."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


def jobs_path(namespace: str, name: str = "") -> str:
    """Return the path of FactotumJobs."""
    return f"{GROUP}/namespaces/{namespace}/factotumjobs" + (f"/{name}" if name else "")


def _message_in(told: bytes) -> str:
    """Find the words of a refusal: paths that nobody serves are answered in plain text."""
    try:
        return str(json.loads(told).get("message"))
    except ValueError:
        return told.decode(errors="replace").strip()


def pods_path(namespace: str, name: str = "") -> str:
    """Return the path of Pods."""
    return f"/api/v1/namespaces/{namespace}/pods" + (f"/{name}" if name else "")


class KubeApi:
    """One API server; a connection per thread."""

    def __init__(self, kubeconfig: Path) -> None:
        raw = yaml.safe_load(kubeconfig.read_text())
        cluster, user = raw["clusters"][0]["cluster"], raw["users"][0]["user"]
        self.server: str = cluster["server"]
        self.authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self.tls = ssl.create_default_context(cadata=self.authority)
        with tempfile.NamedTemporaryFile("wb") as file:
            for part in ("client-certificate-data", "client-key-data"):
                file.write(base64.b64decode(user[part]))
            file.flush()
            self.tls.load_cert_chain(file.name)
        self.identity: dict[str, str] = {}
        self._local = threading.local()
        self._connections: list[http.client.HTTPSConnection] = []

    def close(self) -> None:
        """Close every connection."""
        for connection in self._connections:
            connection.close()

    def connect(self, timeout: float = 30.0) -> http.client.HTTPSConnection:
        """Open a connection."""
        parts = urllib.parse.urlsplit(self.server)
        return http.client.HTTPSConnection(
            parts.hostname or "", parts.port, context=self.tls, timeout=timeout
        )

    def tls_without_identity(self) -> ssl.SSLContext:
        """Give the TLS context of somebody who brings a token of their own."""
        return ssl.create_default_context(cadata=self.authority)

    def request(
        self, method: str, path: str, body: object = None, *, kind: str = "application/json"
    ) -> RawObject:
        """Send a request and return the answer's object."""
        return dict(json.loads(self._send(method, path, body, kind)))

    def _send(self, method: str, path: str, body: object, kind: str) -> bytes:
        data = None if body is None else json.dumps(body)
        for fresh in (False, True):
            connection = None if fresh else getattr(self._local, "connection", None)
            if connection is None:
                connection = self._local.connection = self.connect()
                self._connections.append(connection)
            try:
                connection.request(method, path, data, {"Content-Type": kind} | self.identity)
                answer = connection.getresponse()
                told = answer.read()
            except (http.client.HTTPException, OSError):
                self._local.connection = None
                if fresh:
                    raise
                continue
            if answer.status >= 400:
                raise ApiRefusedError(answer.status, _message_in(told))
            return told
        raise AssertionError("a fresh connection answers or raises")

    def text(self, path: str) -> str:
        """Read what is no object, such as a log."""
        return self._send("GET", path, None, "application/json").decode()

    def get(self, path: str) -> RawObject:
        """Read an object."""
        return self.request("GET", path)

    def find(self, path: str) -> RawObject | None:
        """Read an object; None if there is none."""
        try:
            return self.get(path)
        except ApiRefusedError as error:
            if error.status == 404:
                return None
            raise

    def node_address(self, name: str) -> str:
        """Return the address under which a node is reached."""
        addresses = self.get(f"/api/v1/nodes/{name}")["status"]["addresses"]
        return next(str(a["address"]) for a in addresses if a["type"] == "InternalIP")

    def items(self, path: str) -> list[RawObject]:
        """Read a list."""
        return list(self.get(path)["items"])

    def create(self, path: str, body: object) -> RawObject:
        """Create an object."""
        return self.request("POST", path, body)

    def create_job(self, job: RawObject) -> RawObject:
        """Create a FactotumJob."""
        return self.create(jobs_path(job["metadata"]["namespace"]), job)

    def job(self, namespace: str, name: str = "job") -> RawObject:
        """Read a FactotumJob."""
        return self.get(jobs_path(namespace, name))

    def patch(self, path: str, body: object) -> RawObject:
        """Merge into an object."""
        return self.request("PATCH", path, body, kind=MERGE_PATCH)

    def delete(self, path: str, *, grace: int | None = None) -> None:
        """Delete an object, if it is there, or all objects of a list."""
        body = {} if grace is None else {"gracePeriodSeconds": grace}
        with contextlib.suppress(ApiRefusedError):
            self.request("DELETE", path, body)

    def wait_for(
        self,
        path: str,
        condition: Callable[[RawObject], bool],
        what: str,
        *,
        seconds: float = 30.0,
        every: float = 0.05,
    ) -> RawObject:
        """Read an object until it is as wanted; the longer it takes, the less often."""
        began = time.monotonic()
        deadline = began + seconds
        while True:
            found = self.find(path)
            if found is not None and condition(found):
                return found
            if time.monotonic() > deadline:
                shown = json.dumps((found or {}).get("status"), indent=1)[:3000]
                raise AssertionError(f"{path} is not {what} after {seconds:g} s; status: {shown}")
            time.sleep(max(every, min(0.25, (time.monotonic() - began) / 40)))

    def wait_done(self, namespace: str, name: str = "job", *, seconds: float = 60.0) -> RawObject:
        """Wait for a job's end and return its status."""
        job = self.wait_for(jobs_path(namespace, name), is_done, "DONE", seconds=seconds)
        return dict(job["status"])

    def wait_state(self, namespace: str, name: str, state: str, **fields: str) -> RawObject:
        """Wait until a job has a state and, if given, other status fields."""
        wanted = {"state": state} | fields
        job = self.wait_for(
            jobs_path(namespace, name),
            lambda job: wanted.items() <= job.get("status", {}).items(),
            f"{wanted}",
        )
        return dict(job["status"])

    def wait_all_done(
        self, namespace: str, *, seconds: float, names: Iterable[str] | None = None
    ) -> dict[str, RawObject]:
        """Wait until every job of a namespace (or of those names) is DONE; give them by name."""
        deadline = time.monotonic() + seconds
        wanted = None if names is None else set(names)
        while True:
            jobs = {j["metadata"]["name"]: j for j in self.items(jobs_path(namespace))}
            looked_at = [j for n, j in jobs.items() if wanted is None or n in wanted]
            open_jobs = [j["metadata"]["name"] for j in looked_at if not is_done(j)]
            if not open_jobs:
                return jobs
            if time.monotonic() > deadline:
                first = json.dumps(jobs[open_jobs[0]].get("status"), indent=1)[:2000]
                raise AssertionError(
                    f"{len(open_jobs)} jobs are not DONE after {seconds:g} s, the first is"
                    f" {open_jobs[0]}: {first}"
                )
            time.sleep(0.3)

    def pods_of(self, namespace: str, job_uid: str) -> list[RawObject]:
        """Give the Pods of a job, as they are now."""
        label = urllib.parse.quote(f"factotum.snowplowanalytics.com/job-uid={job_uid}")
        return self.items(f"{pods_path(namespace)}?labelSelector={label}")

    def wait_pod(self, namespace: str, job_uid: str, *, seconds: float = 30.0) -> RawObject:
        """Wait until a job has a Pod that is not being deleted."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for pod in self.pods_of(namespace, job_uid):
                if "deletionTimestamp" not in pod["metadata"]:
                    return pod
            time.sleep(0.05)
        raise AssertionError(f"no Pod for job {job_uid} after {seconds:g} s")


def is_done(job: RawObject) -> bool:
    """Tell whether a job has its verdict."""
    return bool(job.get("status", {}).get("state") == "DONE")


class PodWatch:
    """Every Pod that a namespace ever had, from `__enter__` on."""

    def __init__(self, api: KubeApi, namespace: str) -> None:
        self._api = api
        self._namespace = namespace
        self._connection: http.client.HTTPSConnection | None = None
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._stopping = False
        self.pods: dict[str, RawObject] = {}

    def __enter__(self) -> Self:
        listed = self._api.get(pods_path(self._namespace))
        for pod in listed["items"]:
            self.pods[pod["metadata"]["uid"]] = pod
        self._version = listed["metadata"]["resourceVersion"]
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        if self._connection is not None and self._connection.sock is not None:
            with contextlib.suppress(OSError):
                self._connection.sock.shutdown(2)
        self._thread.join(10)

    def of_job(self, uid: str) -> list[RawObject]:
        """Give all Pods that a job ever had."""
        return [
            pod
            for pod in list(self.pods.values())
            if any(owner["uid"] == uid for owner in pod["metadata"].get("ownerReferences") or ())
        ]

    def _follow(self) -> None:
        while not self._stopping:
            with contextlib.closing(self._api.connect(timeout=3600)) as connection:
                self._connection = connection
                with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
                    self._take_events(connection)

    def _take_events(self, connection: http.client.HTTPSConnection) -> None:
        path = f"{pods_path(self._namespace)}?watch=1&resourceVersion={self._version}"
        connection.request("GET", path)
        with connection.getresponse() as answer:
            while line := answer.readline():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise AssertionError(f"the watch of Pods was lost: {event}")
                metadata = event["object"]["metadata"]
                self._version = metadata["resourceVersion"]
                if event["type"] != "DELETED":
                    self.pods[metadata["uid"]] = event["object"]
