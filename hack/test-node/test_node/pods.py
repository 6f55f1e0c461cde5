"""The life of one Pod on the test node: start, run, end, as a kubelet would have it."""

import asyncio
import contextlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from test_node import environments, statuses
from test_node.api import Api, ApiError, RawObject
from test_node.runners import Container, Instant, Player, RunnerProcess, timestamp
from test_node.statuses import Ending

BEHAVIOUR_ANNOTATION = "factotum.test/behaviour"
NEVER_START = "never-start"
TWICE = "twice"
LOSE = "lose"

RUNNER_CONTAINER = "factotum"
# Of the runner's own image, and of any other one.
RUNNER_COMMANDS = (["factotum", "work"], ["sh", "/factotum/launch", "work"])
_RETRY_SECONDS = 1.0
_TWICE_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the node gives each of its Pods."""

    api: Api
    folder: Path
    runner: Sequence[str]
    # Laid over the Pod's own variables, for what differs outside a cluster.
    environment: Mapping[str, str] = field(default_factory=dict)
    # Under load: stands for every runner.
    player: Player | None = None


async def _first(
    ended: "asyncio.Future[list[Ending]]", event: asyncio.Event, seconds: float | None
) -> None:
    """Wait for the end, the event or the time, whatever comes first."""
    happened = asyncio.ensure_future(event.wait())
    waited: set[asyncio.Future[Any]] = {ended, happened}
    try:
        await asyncio.wait(waited, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        happened.cancel()


class PodRun:
    """One Pod, from being bound to this node until it is gone."""

    def __init__(self, pod: RawObject, surroundings: Surroundings, address: str) -> None:
        self.pod = pod
        self.containers: list[Container] = []
        self.endings: list[Ending] = []
        self._around = surroundings
        self._address = address
        self._deleted = asyncio.Event()  # asked to go, with grace
        self._gone = asyncio.Event()  # removed from the API already
        self._folder = surroundings.folder / pod["metadata"]["uid"]

    @property
    def name(self) -> str:
        """The Pod's name."""
        return str(self.pod["metadata"]["name"])

    @property
    def path(self) -> str:
        """The Pod's path in the API."""
        return f"/api/v1/namespaces/{self.pod['metadata']['namespace']}/pods/{self.name}"

    @property
    def logs(self) -> list[Path]:
        """What the Pod's containers printed, one file each."""
        return sorted(self._folder.glob("log-*"))

    @property
    def behaviour(self) -> str:
        """The fault that the Pod's annotation asks for, if any."""
        annotations: dict[str, str] = self.pod["metadata"].get("annotations") or {}
        return annotations.get(BEHAVIOUR_ANNOTATION, "")

    def update(self, pod: RawObject) -> None:
        """Take note of the Pod's newest version."""
        self.pod = pod
        if "deletionTimestamp" in pod["metadata"]:
            self._deleted.set()

    def forget(self) -> None:
        """Take note that the Pod is no longer in the API."""
        self._gone.set()
        self._deleted.set()

    async def live(self) -> None:
        """Play the Pod's whole life."""
        try:
            if self.behaviour == NEVER_START:
                await self._wait_with("ErrImagePull", "the test node never starts this Pod")
            elif self.pod.get("status", {}).get("phase") == "Running":
                await self._report_lost_container()
            elif await self._start():
                await self._run()
            await self._deleted.wait()
            if self.behaviour != LOSE:
                await self._remove()
        finally:
            for container in self.containers:
                container.kill()
            shutil.rmtree(self._folder / "token", ignore_errors=True)

    async def _report_lost_container(self) -> None:
        # As a kubelet that was away: it ran under an earlier test node and nobody saw its end.
        ending = Ending(137, timestamp(), timestamp(), reason="ContainerStatusUnknown")
        await self._report(statuses.terminated(self.pod, ending, now=timestamp()))

    async def _wait_with(self, reason: str, message: str) -> None:
        await self._report(
            statuses.waiting(self.pod, reason=reason, message=message, now=timestamp())
        )

    async def _start(self) -> bool:
        runner = self._runner_container()
        if runner is None:
            if self._around.player is not None and self._token_source() is not None:
                # A kubelet gets a token before it starts anything; only a load must cost that.
                await self._request_token()
            self.containers.append(Instant())
            return True
        told = ""
        while not self._deleted.is_set():
            try:
                await self._start_runner(runner)
            except (aiohttp.ClientError, OSError):
                pass  # the API server is away for a moment
            except environments.ConfigError as error:
                if str(error) != told:
                    await self._wait_with("CreateContainerConfigError", str(error))
                    told = str(error)
            else:
                return True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RETRY_SECONDS):
                    await self._deleted.wait()
        return False

    def _runner_container(self) -> RawObject | None:
        for container in self.pod["spec"]["containers"]:
            is_ours = container.get("command") in RUNNER_COMMANDS
            if is_ours and container["name"] == RUNNER_CONTAINER:
                found: RawObject = container
                return found
        return None

    async def _start_runner(self, container: RawObject) -> None:
        variables = await environments.resolve(self._around.api, self.pod, container)
        token = await self._request_token()
        if self._around.player is not None:
            variables |= self._around.environment
            self.containers.append(self._around.player.container(variables, token))
            return
        variables["HOSTNAME"] = self.name
        variables["FACTOTUM_TOKEN_FILE"] = str(self._write_token(token))
        variables |= self._around.environment
        self.containers.append(
            await RunnerProcess.start(self._around.runner, variables, self._folder, number=1)
        )
        if self.behaviour == TWICE:
            await asyncio.sleep(_TWICE_SECONDS)
            self.containers.append(
                await RunnerProcess.start(self._around.runner, variables, self._folder, number=2)
            )

    def _token_source(self) -> RawObject | None:
        for volume in self.pod["spec"].get("volumes") or []:
            for part in volume.get("projected", {}).get("sources") or []:
                if "serviceAccountToken" in part:
                    found: RawObject = part["serviceAccountToken"]
                    return found
        return None

    async def _request_token(self) -> str:
        source = self._token_source()
        if source is None:
            raise environments.ConfigError("the Pod has no projected serviceAccountToken")
        metadata = self.pod["metadata"]
        request: dict[str, Any] = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [source["audience"]] if "audience" in source else [],
                "expirationSeconds": source.get("expirationSeconds", 3600),
                "boundObjectRef": {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                },
            },
        }
        account = self.pod["spec"].get("serviceAccountName", "default")
        path = f"/api/v1/namespaces/{metadata['namespace']}/serviceaccounts/{account}/token"
        try:
            answer = await self._around.api.request("POST", path, request)
        except ApiError as error:
            raise environments.ConfigError(f"no token: {error}") from error
        return str(answer["status"]["token"])

    def _write_token(self, token: str) -> Path:
        path = (self._token_source() or {})["path"]
        file = Path(self._folder, "token", path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(token)
        return file

    async def _run(self) -> None:
        now = timestamp()
        await self._report(statuses.running(self.pod, address=self._address, now=now))
        ended = asyncio.gather(*(container.wait() for container in self.containers))
        pod_reason = await self._end_in_time(ended)
        self.endings = await ended
        if self.behaviour != LOSE:
            # Of several processes the first is the Pod's own; the others are the fault.
            final = statuses.terminated(
                self.pod, self.endings[0], pod_reason=pod_reason, now=timestamp()
            )
            await self._report(final)

    async def _end_in_time(self, ended: "asyncio.Future[list[Ending]]") -> str:
        """Wait for the end, ordering it when the Pod is deleted or its deadline comes."""
        if self.behaviour == LOSE:
            # A node that is cut off hears of nothing any more; what it runs goes on.
            await ended
            return ""
        await _first(ended, self._deleted, self.pod["spec"].get("activeDeadlineSeconds"))
        if ended.done():
            return ""
        for container in self.containers:
            container.terminate()
        await _first(ended, self._gone, self._grace())
        if not ended.done():
            for container in self.containers:
                container.kill()
        return "" if self._deleted.is_set() else "DeadlineExceeded"

    def _grace(self) -> float:
        given = self.pod["metadata"].get("deletionGracePeriodSeconds")
        if given is None:
            given = self.pod["spec"].get("terminationGracePeriodSeconds", 30)
        return float(given)

    async def _report(self, status: Mapping[str, Any]) -> None:
        if self._gone.is_set():
            return
        body = {"metadata": {"uid": self.pod["metadata"]["uid"]}, "status": status}
        await self._persist("PATCH", f"{self.path}/status", body)

    async def _remove(self) -> None:
        if not self._gone.is_set():
            uid = self.pod["metadata"]["uid"]
            body = {"gracePeriodSeconds": 0, "preconditions": {"uid": uid}}
            await self._persist("DELETE", self.path, body)

    async def _persist(self, method: str, path: str, body: Mapping[str, Any]) -> None:
        """Write until it is written or the Pod is another one: a kubelet does not give up."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        while True:
            try:
                await self._around.api.request(method, path, body, kind=kind)
            except ApiError as error:
                if error.status < 500 and error.status != 429:
                    # 404, 409 (another UID): not this Pod any more. Anything else is told.
                    if error.status not in (404, 409):
                        raise
                    return
            except (aiohttp.ClientError, OSError):
                pass  # away for a moment
            else:
                return
            await asyncio.sleep(_RETRY_SECONDS)
