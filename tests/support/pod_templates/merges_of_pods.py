"""What may be laid over a Pod as a whole: limits, Nodes, names, volumes."""

from typing import Any

from factotum.controller.facts.nodes import HOSTNAME_LABEL
from factotum.controller.facts.observed import OnNode
from factotum.kube import names
from support.pod_templates.rows import (
    ACCOUNT,
    CLASS,
    IMAGE,
    Merge,
    Pod,
    init,
    metadata,
    mounts,
    of_runner,
    of_spec,
    over,
    runner,
    volume,
)

_BASE_MOUNTS = {"/work": "work", "/tmp": "tmp", "/var/run/secrets/factotum": "token"}
_PVC = {"persistentVolumeClaim": {"claimName": "data"}}
_MATCH = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["node-a"]}]}
_ZONE = {"key": "zone", "operator": "In", "values": ["a"]}
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_TOLERATION = {"key": "jobs", "operator": "Exists", "effect": "NoSchedule"}


def _only_nodes(*terms: Any) -> dict[str, Any]:
    return {"nodeAffinity": {_REQUIRED: {"nodeSelectorTerms": list(terms)}}}


def _tolerated(pod: Pod) -> Any:
    """Read the tolerations without those that Kubernetes adds."""
    given = pod["spec"].get("tolerations", ())
    return [t for t in given if not t.get("key", "").startswith("node.kubernetes.io/")]


def _asked(pod: Pod) -> dict[str, tuple[str, str | None]]:
    """Read request and limit of each resource, as the API server fills them in."""
    given = of_runner(pod, "resources")
    requests, limits = given.get("requests", {}), given.get("limits", {})
    return {n: (requests.get(n, limits.get(n)), limits.get(n)) for n in requests.keys() | limits}


ROWS = (
    Merge(
        "resources: as in a Pod",
        {"resources": {"requests": {"cpu": "1"}, "limits": {"memory": "1Gi", "cpu": "2"}}},
        lambda pod: of_runner(pod, "resources")["limits"],
        {"memory": "1Gi", "cpu": "2"},
    ),
    Merge(
        "resources: a limit without a request does not meet our request",
        {"resources": {"limits": {"cpu": "5m"}}},
        _asked,
        # A request that is not said is what the limit is.
        {"cpu": ("5m", "5m"), "memory": ("32Mi", None)},
    ),
    Merge(
        "resources: podTemplate goes before the shorthand, by resource",
        {"resources": {"limits": {"memory": "1Gi", "cpu": "1"}}}
        | runner(resources={"limits": {"memory": "2Gi"}, "requests": {"memory": "1Gi"}}),
        _asked,
        {"cpu": ("1", "1"), "memory": ("1Gi", "2Gi")},
    ),
    Merge(
        "resources: null takes what we ask for away",
        runner(resources=None),
        lambda pod: of_runner(pod, "resources") or {},
        {},
    ),
    Merge(
        "resources: the runner is brought along under the same limits",
        {"image": IMAGE, "resources": {"limits": {"memory": "1Gi", "cpu": "1"}}},
        lambda pod: init(pod)["resources"]["limits"],
        {"memory": "1Gi", "cpu": "1"},
    ),
    Merge(
        "serviceAccountName: the account, and none of its tokens",
        {"serviceAccountName": ACCOUNT},
        lambda pod: (
            pod["spec"]["serviceAccountName"],
            pod["spec"]["automountServiceAccountToken"],
            mounts(pod),
        ),
        (ACCOUNT, False, _BASE_MOUNTS),
    ),
    Merge(
        "automountServiceAccountToken: for tasks that ask the API server",
        {"serviceAccountName": ACCOUNT} | over(automountServiceAccountToken=True),
        of_spec("automountServiceAccountToken"),
        True,
    ),
    Merge(
        "imagePullSecrets: by name, shorthand and template",
        {"imagePullSecrets": [{"name": "one"}, {"name": "two"}]}
        | over(imagePullSecrets=[{"name": "two"}, {"name": "three"}]),
        of_spec("imagePullSecrets"),
        [{"name": "one"}, {"name": "two"}, {"name": "three"}],
    ),
    Merge(
        "nodeSelector: label by label, podTemplate first",
        {"nodeSelector": {"disk": "ssd", "zone": "a"}} | over(nodeSelector={"zone": "b"}),
        of_spec("nodeSelector"),
        {"disk": "ssd", "zone": "b"},
    ),
    Merge(
        "nodeSelector: the host constraint holds, too",
        {"nodeSelector": {"disk": "ssd"}},
        of_spec("nodeSelector"),
        {"disk": "ssd", HOSTNAME_LABEL: "host-a"},
        OnNode(name="node-a", label="host-a"),
    ),
    Merge(
        "nodeSelector: another host than the constraint's takes nothing from it",
        {"nodeSelector": {HOSTNAME_LABEL: "host-b"}},
        lambda pod: (pod["spec"]["nodeSelector"], pod["spec"]["affinity"]),
        ({HOSTNAME_LABEL: "host-b"}, _only_nodes(_MATCH)),
        OnNode(name="node-a", label="host-a"),
    ),
    Merge(
        "nodeSelector: null takes no host constraint away",
        over(nodeSelector=None, affinity=None),
        of_spec("nodeSelector"),
        {HOSTNAME_LABEL: "host-a"},
        OnNode(name="node-a", label="host-a"),
    ),
    Merge(
        "affinity: the host constraint holds in each of its terms",
        over(affinity=_only_nodes({"matchExpressions": [_ZONE]}, {"matchExpressions": [_ZONE]})),
        of_spec("affinity"),
        _only_nodes(*[{"matchExpressions": [_ZONE]} | _MATCH] * 2),
        OnNode(name="node-a", label=None),
    ),
    Merge("tolerations", {"tolerations": [_TOLERATION]}, _tolerated, [_TOLERATION]),
    Merge(
        "tolerations: podTemplate replaces them",
        {"tolerations": [_TOLERATION]} | over(tolerations=[_TOLERATION | {"key": "other"}]),
        _tolerated,
        [_TOLERATION | {"key": "other"}],
    ),
    Merge(
        "topologySpreadConstraints",
        over(
            topologySpreadConstraints=[
                {
                    "maxSkew": 1,
                    "topologyKey": "zone",
                    "whenUnsatisfiable": "ScheduleAnyway",
                    "labelSelector": {"matchLabels": {"team": "data"}},
                }
            ]
        ),
        lambda pod: pod["spec"]["topologySpreadConstraints"][0]["topologyKey"],
        "zone",
    ),
    Merge(
        "labels: a queue's, beside ours",
        metadata(labels={"kueue.x-k8s.io/queue-name": "etl"}),
        lambda pod: (
            pod["metadata"]["labels"]["kueue.x-k8s.io/queue-name"],
            pod["metadata"]["labels"][names.LABEL_MANAGED_BY],
        ),
        ("etl", names.MANAGED_BY),
    ),
    Merge(
        "annotations: others' are yours",
        metadata(annotations={"cluster-autoscaler.kubernetes.io/safe-to-evict": "true", "a": "b"}),
        lambda pod: (
            pod["metadata"]["annotations"]["cluster-autoscaler.kubernetes.io/safe-to-evict"],
            pod["metadata"]["annotations"]["karpenter.sh/do-not-disrupt"],
            pod["metadata"]["annotations"]["a"],
        ),
        ("true", "true", "b"),
    ),
    Merge(
        "schedulingGates",
        over(schedulingGates=[{"name": "example.com/quota"}]),
        of_spec("schedulingGates"),
        [{"name": "example.com/quota"}],
    ),
    Merge("priorityClassName", over(priorityClassName=CLASS), of_spec("priorityClassName"), CLASS),
    Merge("runtimeClassName", over(runtimeClassName=CLASS), of_spec("runtimeClassName"), CLASS),
    Merge(
        "volumes: an emptyDir in memory as the tasks' folder",
        over(volumes=[{"name": "work", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}}]),
        lambda pod: (volume(pod, "work"), mounts(pod)),
        ({"emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}}, _BASE_MOUNTS),
    ),
    Merge(
        "volumes: a PersistentVolumeClaim",
        over(
            volumes=[{"name": "data"} | _PVC],
            containers=[
                {
                    "name": "factotum",
                    "volumeMounts": [{"name": "data", "mountPath": "/data", "subPath": "in"}],
                }
            ],
        ),
        lambda pod: (volume(pod, "data"), mounts(pod)),
        (_PVC, _BASE_MOUNTS | {"/data": "data"}),
    ),
    Merge(
        "volumes: one of the same name replaces ours as a whole",
        over(volumes=[{"name": "work"} | _PVC]),
        lambda pod: volume(pod, "work"),
        _PVC,
    ),
    Merge(
        "volumes: of a ConfigMap and a Secret",
        over(
            volumes=[
                {"name": "settings", "configMap": {"name": "settings"}},
                {"name": "keys", "secret": {"secretName": "keys"}},
            ],
            containers=[
                {
                    "name": "factotum",
                    "volumeMounts": [
                        {"name": "settings", "mountPath": "/etc/job"},
                        {"name": "keys", "mountPath": "/keys", "readOnly": True},
                    ],
                }
            ],
        ),
        mounts,
        _BASE_MOUNTS | {"/etc/job": "settings", "/keys": "keys"},
    ),
    Merge(
        "volumes: a token for somebody else",
        over(
            volumes=[
                {
                    "name": "sts",
                    "projected": {
                        "sources": [
                            {"serviceAccountToken": {"audience": "sts.example", "path": "token"}}
                        ]
                    },
                }
            ]
        ),
        lambda pod: volume(pod, "sts")["projected"]["sources"][0]["serviceAccountToken"][
            "audience"
        ],
        "sts.example",
    ),
    Merge(
        "volumes: of a driver and of an image",
        over(
            volumes=[
                {"name": "store", "csi": {"driver": "secrets-store.csi.k8s.io", "readOnly": True}},
                {"name": "model", "image": {"reference": "registry.example/model:1"}},
            ]
        ),
        lambda pod: [set(v) - {"name"} for v in pod["spec"]["volumes"]][2:4],
        [{"csi"}, {"image"}],
    ),
    Merge(
        "volumeMounts: by path, a slash at its end aside",
        runner(volumeMounts=[{"name": "work", "mountPath": "/tmp/", "subPath": "tmp"}]),
        mounts,
        {"/work": "work", "/tmp/": "work", "/var/run/secrets/factotum": "token"},
    ),
    Merge(
        "volumeMounts: subPathExpr finds the tasks' variables, and none of ours",
        runner(
            env=[{"name": "TEAM", "value": "data"}],
            volumeMounts=[
                {"name": "work", "mountPath": "/a", "subPathExpr": "$(TEAM)"},
                {"name": "work", "mountPath": "/b", "subPathExpr": "$(FACTOTUM_JOB_UID)"},
            ],
        ),
        lambda pod: [m.get("subPathExpr") for m in of_runner(pod, "volumeMounts")][2:4],
        ["$(FACTOTUM_TASK_TEAM)", "$$(FACTOTUM_JOB_UID)"],
    ),
)
