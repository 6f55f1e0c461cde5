"""What the tasks of a job on the kubelet wrote down about themselves, in their Pod's log."""

from support.cluster.clusters import Cluster


def runs_of(kubelet: Cluster, namespace: str, pod: str) -> list[str]:
    """Name the tasks t0, t1, ... that have said RUN, once for each time that they ran."""
    log = kubelet.kubectl("logs", "-n", namespace, pod)
    return sorted(line.split("RUN ")[1] for line in log.splitlines() if "] RUN t" in line)
