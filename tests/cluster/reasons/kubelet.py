"""The kubelet of one Pod, as far as the API server sees it: what it writes into the Pod's status.

Its words are the test node's, which has them from a real one.
"""

from typing import Any

from support.cluster.kube_api import KubeApi, RawObject, pods_path
from test_node import statuses
from test_node.runners import timestamp
from test_node.statuses import Ending


class Kubelet:
    """Writes what becomes of a Pod."""

    def __init__(self, api: KubeApi, pod: RawObject) -> None:
        self._api = api
        metadata = pod["metadata"]
        self.name: str = metadata["name"]
        self.path = pods_path(metadata["namespace"], self.name)

    def pod(self) -> RawObject:
        """Read the Pod."""
        return self._api.get(self.path)

    def waits(self, reason: str, message: str) -> None:
        """Say why the container does not start."""
        now = timestamp()
        self._write(statuses.waiting(self.pod(), reason=reason, message=message, now=now))

    def runs(self) -> None:
        """Say that the container runs."""
        self._write(statuses.running(self.pod(), address="10.9.8.7", now=timestamp()))

    def ends(self, exit_code: int, reason: str = "", *, pod_reason: str = "", **more: Any) -> None:
        """Say that the container ended.

        Args:
            exit_code: of the container.
            reason: why it ended, if a kubelet has a word for it.
            pod_reason: why the Pod failed, if the kubelet ended it.
            more: `message` of the Pod, and its `disruption`, a reason.
        """
        now = timestamp()
        ending = Ending(exit_code, now, now, reason=reason)
        status = statuses.terminated(self.pod(), ending, pod_reason=pod_reason, now=now)
        if "message" in more:
            status["message"] = more["message"]
        if "disruption" in more:
            status["conditions"].append(
                {"type": "DisruptionTarget", "status": "True", "reason": more["disruption"]}
            )
        self._write(status)

    def wait_disrupted(self) -> None:
        """Wait until Kubernetes says that it ends the Pod, and why."""

        def is_target(pod: RawObject) -> bool:
            kinds = [c["type"] for c in pod["status"].get("conditions") or ()]
            return "DisruptionTarget" in kinds and "deletionTimestamp" in pod["metadata"]

        self._api.wait_for(self.path, is_target, "being disrupted")

    def _write(self, status: Any) -> None:
        self._api.patch(f"{self.path}/status", {"status": status})
