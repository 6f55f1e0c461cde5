"""Keep the fake nodes of a cluster alive: renew their leases, as kubelets would.

A process of its own (`python -m local_cluster.keeping STATE PORT`), because the tool ends
once the cluster is up. Which nodes: whatever Nodes carry the fake label at the moment, so that
tests may add and remove them.
"""

import datetime
import sys
import time
from pathlib import Path

from local_cluster import fake_nodes, records
from local_cluster.api import UNREACHABLE, Api
from local_cluster.errors import ClusterError

# The node controller gives a lease 40 s and looks every 5 s.
_EVERY_SECONDS = 8.0


def timestamp() -> str:
    """Give the present in the form of a lease's MicroTime."""
    now = datetime.datetime.now(datetime.UTC)
    return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def renew_all(api: Api) -> int:
    """Renew the lease of each fake node that wants to live; give their number."""
    _, nodes = api.request("GET", f"/api/v1/nodes?labelSelector={fake_nodes.SELECTOR}")
    renewed = 0
    for node in nodes["items"]:
        name = node["metadata"]["name"]
        if node["metadata"].get("annotations", {}).get(fake_nodes.KEEP_ANNOTATION) != "false":
            lease = {
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"name": name, "namespace": "kube-node-lease"},
                "spec": {
                    "holderIdentity": name,
                    "leaseDurationSeconds": 40,
                    "renewTime": timestamp(),
                },
            }
            path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
            api.apply(f"{path}/{name}", lease)
            renewed += 1
    return renewed


def main(state: Path, port: int) -> None:
    """Renew for ever; an API server that is away for a moment is no reason to end."""
    api = Api(port, records.certificates(state))
    while True:
        try:
            renew_all(api)
        except (*UNREACHABLE, ClusterError, ValueError, KeyError, TypeError) as error:
            print(f"{timestamp()} not renewed: {error!r}", flush=True)
        time.sleep(_EVERY_SECONDS)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
