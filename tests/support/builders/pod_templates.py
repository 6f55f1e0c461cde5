"""What people lay over their jobs' Pods: what is merged how, and what is refused in which words.

Each row is tried without an API server, and on a real one; but that one lets nothing in which is
misshapen, so only somebody with an older resource definition, or a chart's values, can say that.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from factotum.controller.facts.nodes import HOSTNAME_LABEL
from factotum.controller.facts.observed import AnyNode, HostFact, OnNode
from factotum.kube import names

Pod = dict[str, Any]
ACCOUNT, CLASS = "loader", "jobs"
"""Objects that must be there for a Pod that names them: a ServiceAccount; a class of any kind."""
IMAGE = "registry.example/tools:7"


class Merge(NamedTuple):
    """What may be asked, and where it shows.

    Attributes:
        spec: fields of the job.
        found: what the Pod is asked, and must answer.
        host: the Node of its host constraint.
    """

    name: str
    spec: dict[str, Any]
    found: Callable[[Pod], Any]
    expected: Any
    host: HostFact = AnyNode()


class Refusal(NamedTuple):
    """What may not be asked: the field that is named, and words of the cure."""

    name: str
    spec: dict[str, Any]
    path: str
    words: str


def over(**spec: Any) -> dict[str, Any]:
    """Lay a spec over the Pod."""
    return {"podTemplate": {"spec": spec}}


def runner(**fields: Any) -> dict[str, Any]:
    """Lay something over the container of the tasks."""
    return over(containers=[{"name": "factotum"} | fields])


def before(**fields: Any) -> dict[str, Any]:
    """Have one more init container."""
    return over(initContainers=[{"name": "fetch", "image": IMAGE, "command": ["fetch"]} | fields])


def beside(**fields: Any) -> dict[str, Any]:
    """Have a native sidecar."""
    return before(**({"name": "proxy", "restartPolicy": "Always"} | fields))


def metadata(**fields: Any) -> dict[str, Any]:
    """Lay something over the Pod's metadata."""
    return {"podTemplate": {"metadata": fields}}


def of_runner(pod: Pod, field: str, default: Any = None) -> Any:
    """Read a field of the container of the tasks."""
    (container,) = (c for c in pod["spec"]["containers"] if c["name"] == names.RUNNER_CONTAINER)
    return container.get(field, default)


def variables(pod: Pod) -> dict[str, Any]:
    """Read the variables that are meant for the tasks."""
    given = of_runner(pod, "env")
    prefix = "FACTOTUM_TASK_"
    return {
        v["name"].removeprefix(prefix): v.get("value", v.get("valueFrom"))
        for v in given
        if v["name"].startswith(prefix)
    }


def mounts(pod: Pod, container: Any = None) -> dict[str, str]:
    """Read which volume is where in a container, the one of the tasks if none is given."""
    given = (container or {"volumeMounts": of_runner(pod, "volumeMounts")}).get("volumeMounts", ())
    account = "/var/run/secrets/kubernetes.io/serviceaccount"
    return {m["mountPath"]: m["name"] for m in given if m["mountPath"] != account}


def volume(pod: Pod, name: str) -> Any:
    """Read a volume's source."""
    (found,) = (v for v in pod["spec"]["volumes"] if v["name"] == name)
    return {kind: source for kind, source in found.items() if kind != "name"}


def init(pod: Pod, number: int = 0) -> Any:
    """Read an init container."""
    return pod["spec"]["initContainers"][number]


def of_spec(field: str) -> Callable[[Pod], Any]:
    """Read a field of the spec."""
    return lambda pod: pod["spec"].get(field)


def of_context(field: str) -> Callable[[Pod], Any]:
    """Read a field of the security context of the container of the tasks."""
    return lambda pod: of_runner(pod, "securityContext").get(field)


_STRICT = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
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


MERGES = (
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
    Merge(
        "priorityClassName", over(priorityClassName=CLASS), of_spec("priorityClassName"), CLASS
    ),
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
    Merge(
        "initContainers: a native sidecar, as restricted as the rest",
        beside(),
        lambda pod: (init(pod)["restartPolicy"], init(pod)["securityContext"]),
        ("Always", _STRICT),
    ),
    Merge(
        "initContainers: follow the one that brings the runner",
        {"image": IMAGE} | before(volumeMounts=[{"name": "work", "mountPath": "/out"}]),
        lambda pod: [c["name"] for c in pod["spec"]["initContainers"]],
        [names.INJECTING_CONTAINER, "fetch"],
    ),
    Merge(
        "initContainers: with a root file system that can be written",
        before(securityContext={"readOnlyRootFilesystem": False}),
        lambda pod: init(pod)["securityContext"],
        _STRICT | {"readOnlyRootFilesystem": False},
    ),
    Merge(
        "env: for the tasks alone, and referring to each other",
        runner(
            env=[
                {"name": "NAME", "value": "x"},
                {"name": "BOTH", "value": "$(NAME) $$(NAME) $(LATER) $(KUBERNETES_SERVICE_HOST) $"},
                {"name": "LATER", "value": "y"},
            ]
        ),
        variables,
        {
            "NAME": "x",
            "BOTH": "$(FACTOTUM_TASK_NAME) $$(NAME) $(LATER) $(KUBERNETES_SERVICE_HOST) $",
            "LATER": "y",
        },
    ),
    Merge(
        "env: what envFrom may have can be referred to",
        {"envFrom": [{"secretRef": {"name": "creds"}}]}
        | runner(env=[{"name": "URL", "value": "db://$(USER)@$(KUBERNETES_SERVICE_HOST)"}]),
        variables,
        {"URL": "db://$(FACTOTUM_TASK_USER)@$(KUBERNETES_SERVICE_HOST)"},
    ),
    Merge(
        "env: our names are not ours there, and ours cannot be referred to",
        {"webhook": {"urlFrom": {"secretKeyRef": {"name": "hook", "key": "url"}}}}
        | runner(
            env=[
                {"name": "STOLEN", "value": "$(FACTOTUM_WEBHOOK_URL)$(FACTOTUM_TASK_STOLEN)"},
                {"name": "FACTOTUM_OPERATOR_URL", "value": "https://elsewhere"},
                {"name": "LD_PRELOAD", "value": "/work/evil.so"},
            ]
        ),
        lambda pod: (
            variables(pod),
            [v["name"] for v in of_runner(pod, "env") if "TASK" not in v["name"]],
        ),
        (
            {
                "STOLEN": "$$(FACTOTUM_WEBHOOK_URL)$$(FACTOTUM_TASK_STOLEN)",
                "FACTOTUM_OPERATOR_URL": "https://elsewhere",
                "LD_PRELOAD": "/work/evil.so",
            },
            [
                "FACTOTUM_OPERATOR_URL",
                "FACTOTUM_OPERATOR_CA",
                "FACTOTUM_JOB_UID",
                "FACTOTUM_ATTEMPT",
                "FACTOTUM_LAUNCH",
                "FACTOTUM_WEBHOOK_URL",
            ],
        ),
    ),
    Merge(
        "env: from the Pod itself",
        runner(env=[{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}]),
        lambda pod: variables(pod)["NODE"]["fieldRef"]["fieldPath"],
        "spec.nodeName",
    ),
    Merge(
        "envFrom: follows that of the job",
        {"envFrom": [{"secretRef": {"name": "one"}}]}
        | runner(envFrom=[{"configMapRef": {"name": "two"}, "prefix": "X_"}]),
        lambda pod: of_runner(pod, "envFrom"),
        [
            {"secretRef": {"name": "one"}, "prefix": "FACTOTUM_TASK_"},
            {"configMapRef": {"name": "two"}, "prefix": "FACTOTUM_TASK_X_"},
        ],
    ),
    Merge(
        "workingDir: the image's own, if it is empty",
        {"image": IMAGE} | runner(workingDir=""),
        lambda pod: of_runner(pod, "workingDir"),
        None,
    ),
    Merge(
        "workingDir: the image's own, if it is null",
        {"image": IMAGE} | runner(workingDir=None),
        lambda pod: of_runner(pod, "workingDir"),
        None,
    ),
    Merge(
        "workingDir: another", runner(workingDir="/app"), lambda p: of_runner(p, "workingDir"), "/app"
    ),
    Merge(
        "imagePullPolicy: of an image of the job's own",
        {"image": IMAGE} | runner(imagePullPolicy="Always"),
        lambda pod: of_runner(pod, "imagePullPolicy"),
        "Always",
    ),
    Merge(
        "ports and a readiness probe",
        runner(
            ports=[{"containerPort": 4040}],
            readinessProbe={"httpGet": {"path": "/", "port": 4040}},
        ),
        lambda pod: of_runner(pod, "ports")[0]["containerPort"],
        4040,
    ),
    Merge(
        "securityContext: a root file system that can be written",
        runner(securityContext={"readOnlyRootFilesystem": False}),
        of_context("readOnlyRootFilesystem"),
        False,
    ),
    Merge(
        "securityContext: another user, its groups and its files",
        over(
            securityContext={
                "runAsUser": 1000,
                "runAsGroup": 0,
                "fsGroup": 2000,
                "supplementalGroups": [3000],
            }
        ),
        lambda pod: (
            pod["spec"]["securityContext"]["runAsUser"],
            pod["spec"]["securityContext"]["runAsNonRoot"],
        ),
        (1000, True),
    ),
    Merge(
        "securityContext: the image's own user, which the kubelet refuses if it is root",
        over(securityContext={"runAsUser": None}),
        lambda pod: (
            pod["spec"]["securityContext"].get("runAsUser"),
            pod["spec"]["securityContext"]["runAsNonRoot"],
        ),
        (None, True),
    ),
    Merge(
        "securityContext: the one capability that is harmless",
        runner(securityContext={"capabilities": {"add": ["NET_BIND_SERVICE"]}}),
        of_context("capabilities"),
        {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
    ),
    Merge(
        "securityContext: profiles of the Node",
        over(securityContext={"seccompProfile": {"type": "Localhost", "localhostProfile": "j.json"}}),
        lambda pod: pod["spec"]["securityContext"]["seccompProfile"]["type"],
        "Localhost",
    ),
    Merge(
        "securityContext: sysctls that concern nobody else",
        over(securityContext={"sysctls": [{"name": "net.ipv4.tcp_syncookies", "value": "1"}]}),
        lambda pod: pod["spec"]["securityContext"]["sysctls"][0]["name"],
        "net.ipv4.tcp_syncookies",
    ),
    Merge("hostUsers: users of the Pod's own", over(hostUsers=False), of_spec("hostUsers"), False),
    Merge(
        "terminationGracePeriodSeconds: longer",
        over(terminationGracePeriodSeconds=120),
        of_spec("terminationGracePeriodSeconds"),
        120,
    ),
    Merge(
        "names: hosts, DNS, links to Services",
        over(
            hostAliases=[{"ip": "192.0.2.1", "hostnames": ["db"]}],
            dnsConfig={"options": [{"name": "ndots", "value": "1"}]},
            enableServiceLinks=True,
            hostname="etl",
        ),
        of_spec("hostname"),
        "etl",
    ),
    Merge(
        "what we say anyway may be said",
        over(restartPolicy="Never", shareProcessNamespace=False, hostNetwork=False),
        of_spec("restartPolicy"),
        "Never",
    ),
    Merge("nothing", {"podTemplate": {}}, mounts, _BASE_MOUNTS),
)

_SPEC = "spec.podTemplate.spec"
_RUNNER = f"{_SPEC}.containers[0]"
_INIT = f"{_SPEC}.initContainers[0]"
_TOKEN_FOLDER = "/var/run/secrets/factotum"
_HTTP = {"httpGet": {"path": "/", "port": 80, "host": "169.254.169.254"}}
_OURS = {"projected": {"sources": [{"serviceAccountToken": {"audience": "factotum-operator", "path": "t"}}]}}

REFUSALS = (
    # --- what keeps the truth: the run, its verdict, whose the Pod is ---
    Refusal("restartPolicy", over(restartPolicy="OnFailure"), f"{_SPEC}.restartPolicy", "spec.retry"),
    Refusal(
        "restart rules of the container of the tasks",
        runner(restartPolicyRules=[{"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}]),
        f"{_RUNNER}.restartPolicyRules",
        "leave it out",
    ),
    Refusal(
        "restart policy of the container of the tasks",
        runner(restartPolicy="Always"),
        f"{_RUNNER}.restartPolicy",
        "leave it out",
    ),
    Refusal("another command", runner(command=["true"]), f"{_RUNNER}.command", "into a task"),
    Refusal("other arguments", runner(args=["--help"]), f"{_RUNNER}.args", "into a task"),
    Refusal("another image beside spec.image", runner(image=IMAGE), f"{_RUNNER}.image", "set spec.image"),
    Refusal(
        "a verdict from another file",
        runner(terminationMessagePath="/work/verdict"),
        f"{_RUNNER}.terminationMessagePath",
        "leave it out",
    ),
    Refusal(
        "a verdict from the log",
        runner(terminationMessagePolicy="FallbackToLogsOnError"),
        f"{_RUNNER}.terminationMessagePolicy",
        "leave it out",
    ),
    Refusal(
        "a verdict that is mounted",
        over(
            volumes=[{"name": "forged", "configMap": {"name": "forged"}}],
            containers=[
                {
                    "name": "factotum",
                    "volumeMounts": [
                        {"name": "forged", "mountPath": "/dev/termination-log", "subPath": "verdict"}
                    ],
                }
            ],
        ),
        f"{_RUNNER}.volumeMounts[0].mountPath",
        "mount it elsewhere",
    ),
    Refusal(
        "a runner that is mounted",
        {"image": IMAGE} | runner(volumeMounts=[{"name": "work", "mountPath": "/factotum/start.py"}]),
        f"{_RUNNER}.volumeMounts[0].mountPath",
        "mount it elsewhere",
    ),
    Refusal(
        "a hook before the runner's end",
        runner(lifecycle={"preStop": {"sleep": {"seconds": 30}}}),
        f"{_RUNNER}.lifecycle",
        "a task or into initContainers",
    ),
    Refusal(
        "a probe that ends the run",
        runner(livenessProbe={"exec": {"command": ["false"]}}),
        f"{_RUNNER}.livenessProbe",
        "activeDeadlineSeconds",
    ),
    Refusal(
        "a probe before the run",
        runner(startupProbe={"exec": {"command": ["false"]}}),
        f"{_RUNNER}.startupProbe",
        "activeDeadlineSeconds",
    ),
    Refusal("a terminal", runner(tty=True), f"{_RUNNER}.tty", "leave it out"),
    Refusal("something to read", runner(stdin=True), f"{_RUNNER}.stdin", "leave it out"),
    Refusal(
        "less time to end",
        over(terminationGracePeriodSeconds=0),
        f"{_SPEC}.terminationGracePeriodSeconds",
        "at least 30",
    ),
    Refusal(
        "a deadline of the Pod's own",
        over(activeDeadlineSeconds=60),
        f"{_SPEC}.activeDeadlineSeconds",
        "set spec.activeDeadlineSeconds",
    ),
    Refusal(
        "a second container",
        over(containers=[{"name": "factotum"}, {"name": "proxy", "image": IMAGE}]),
        f"{_SPEC}.containers[1]",
        "an entry of initContainers with restartPolicy Always",
    ),
    Refusal(
        "an init container that is started again",
        before(restartPolicy="OnFailure"),
        f"{_INIT}.restartPolicy",
        "native sidecar",
    ),
    Refusal(
        "a sidecar with rules of its own",
        beside(restartPolicyRules=[{"action": "RestartAllContainers"}]),
        f"{_INIT}.restartPolicyRules",
        "leave it out",
    ),
    Refusal("an init container called as ours", before(name="factotum"), f"{_INIT}.name", "another"),
    Refusal(
        "an init container in the place of the one that brings the runner",
        {"image": IMAGE} | before(name="factotum-runner"),
        f"{_INIT}.name",
        "another name",
    ),
    Refusal(
        "a label of ours",
        metadata(labels={names.LABEL_JOB_UID: "11111111-2222-3333-4444-555555555555"}),
        f'spec.podTemplate.metadata.labels["{names.LABEL_JOB_UID}"]',
        "another key",
    ),
    Refusal(
        "a label by which the port of claims is opened",
        metadata(labels={names.LABEL_MANAGED_BY: "me"}),
        f'spec.podTemplate.metadata.labels["{names.LABEL_MANAGED_BY}"]',
        "another key",
    ),
    Refusal(
        "an annotation of ours",
        metadata(annotations={names.ANNOTATION_FACTFILE_HASH: "a" * 64}),
        f'spec.podTemplate.metadata.annotations["{names.ANNOTATION_FACTFILE_HASH}"]',
        "another key",
    ),
    Refusal("another name", metadata(name="mine"), "spec.podTemplate.metadata.name", "leave it out"),
    Refusal(
        "another namespace",
        metadata(namespace="kube-system"),
        "spec.podTemplate.metadata.namespace",
        "leave it out",
    ),
    Refusal(
        "no fixed name",
        metadata(generateName="mine-"),
        "spec.podTemplate.metadata.generateName",
        "leave it out",
    ),
    Refusal(
        "another owner",
        metadata(ownerReferences=[]),
        "spec.podTemplate.metadata.ownerReferences",
        "leave it out",
    ),
    Refusal(
        "a finalizer",
        metadata(finalizers=["example.com/kept"]),
        "spec.podTemplate.metadata.finalizers",
        "leave it out",
    ),
    Refusal("a Node past the scheduler", over(nodeName="node-1"), f"{_SPEC}.nodeName", "nodeSelector"),
    # --- the runner's token, and its process ---
    Refusal(
        "the volume of the token",
        over(volumes=[{"name": "token", "emptyDir": {}}]),
        f"{_SPEC}.volumes[0].name",
        "another name",
    ),
    Refusal(
        "the token in a sidecar",
        beside(volumeMounts=[{"name": "token", "mountPath": "/stolen"}]),
        f"{_INIT}.volumeMounts[0].name",
        "one of your own",
    ),
    Refusal(
        "the token in a sidecar, by a part of its path",
        beside(volumeMounts=[{"name": "token", "mountPath": "/stolen", "subPath": "token"}]),
        f"{_INIT}.volumeMounts[0].name",
        "one of your own",
    ),
    Refusal(
        "the token once more, for the tasks",
        runner(volumeMounts=[{"name": "token", "mountPath": "/work/token"}]),
        f"{_RUNNER}.volumeMounts[0].name",
        "one of your own",
    ),
    *(
        Refusal(
            f"something at the token's place: {path}",
            runner(volumeMounts=[{"name": "work", "mountPath": path}]),
            f"{_RUNNER}.volumeMounts[0].mountPath",
            "mount it elsewhere",
        )
        for path in (
            _TOKEN_FOLDER,
            f"{_TOKEN_FOLDER}/",
            f"{_TOKEN_FOLDER}/token",
            "/var/run/secrets/x/../factotum//./",
            "/run/secrets/factotum",
            "var/run/secrets/factotum/token",
        )
    ),
    Refusal(
        "a token for the operator, of a volume of its own",
        over(
            volumes=[{"name": "mine"} | _OURS],
            initContainers=[
                {
                    "name": "proxy",
                    "image": IMAGE,
                    "restartPolicy": "Always",
                    "volumeMounts": [{"name": "mine", "mountPath": "/mine"}],
                }
            ],
        ),
        f"{_SPEC}.volumes[0].projected.sources[0].serviceAccountToken.audience",
        "another audience",
    ),
    Refusal(
        "the runner's folder in a sidecar",
        {"image": IMAGE} | beside(volumeMounts=[{"name": "factotum", "mountPath": "/x"}]),
        f"{_INIT}.volumeMounts[0].name",
        "one of your own",
    ),
    Refusal(
        "the runner's folder of another volume",
        {"image": IMAGE} | over(volumes=[{"name": "factotum", "configMap": {"name": "evil"}}]),
        f"{_SPEC}.volumes[0].name",
        "another name",
    ),
    Refusal(
        "the runner's process, seen from a sidecar",
        over(shareProcessNamespace=True),
        f"{_SPEC}.shareProcessNamespace",
        "leave it out",
    ),
    Refusal(
        "a debugger from the start",
        over(ephemeralContainers=[{"name": "d", "image": IMAGE, "targetContainerName": "factotum"}]),
        f"{_SPEC}.ephemeralContainers",
        "kubectl debug",
    ),
    # --- root, and the host ---
    *(
        Refusal(f"the host: {field}", over(**{field: True}), f"{_SPEC}.{field}", "leave it out")
        for field in ("hostNetwork", "hostPID", "hostIPC")
    ),
    *(
        Refusal(
            f"the host: a volume of kind {kind}",
            over(volumes=[{"name": "x", kind: source}]),
            f"{_SPEC}.volumes[0].{kind}",
            "use a persistentVolumeClaim",
        )
        for kind, source in (
            ("hostPath", {"path": "/"}),
            ("nfs", {"server": "nfs", "path": "/"}),
            ("gitRepo", {"repository": "r"}),
            ("flexVolume", {"driver": "d"}),
        )
    ),
    Refusal(
        "the host: a port",
        runner(ports=[{"containerPort": 80, "hostPort": 80}]),
        f"{_RUNNER}.ports[0].hostPort",
        "use a Service",
    ),
    Refusal(
        "the host: asking for us",
        beside(readinessProbe=_HTTP),
        f"{_INIT}.readinessProbe.httpGet.host",
        "leave it out",
    ),
    Refusal(
        "the host: telling for us",
        beside(lifecycle={"postStart": _HTTP}),
        f"{_INIT}.lifecycle.postStart.httpGet.host",
        "leave it out",
    ),
    Refusal(
        "root: the Pod's user",
        over(securityContext={"runAsUser": 0}),
        f"{_SPEC}.securityContext.runAsUser",
        "greater than 0",
    ),
    Refusal(
        "root: the user of the tasks",
        runner(securityContext={"runAsUser": 0}),
        f"{_RUNNER}.securityContext.runAsUser",
        "greater than 0",
    ),
    Refusal(
        "root: an init container's user",
        before(securityContext={"runAsUser": 0}),
        f"{_INIT}.securityContext.runAsUser",
        "greater than 0",
    ),
    Refusal(
        "root: a user that may be it",
        over(securityContext={"runAsNonRoot": False}),
        f"{_SPEC}.securityContext.runAsNonRoot",
        "must stay true",
    ),
    Refusal(
        "root: no word of the user",
        over(securityContext=None),
        f"{_SPEC}.securityContext",
        "cannot be taken away",
    ),
    Refusal(
        "privileges: all",
        beside(securityContext={"privileged": True}),
        f"{_INIT}.securityContext.privileged",
        "must stay false",
    ),
    Refusal(
        "privileges: more than at the start",
        runner(securityContext={"allowPrivilegeEscalation": True}),
        f"{_RUNNER}.securityContext.allowPrivilegeEscalation",
        "must stay false",
    ),
    Refusal(
        "privileges: more, by taking the word away",
        runner(securityContext={"allowPrivilegeEscalation": None}),
        f"{_RUNNER}.securityContext.allowPrivilegeEscalation",
        "must stay false",
    ),
    Refusal(
        "privileges: no security context",
        before(securityContext=None),
        f"{_INIT}.securityContext",
        "cannot be taken away",
    ),
    Refusal(
        "privileges: a capability",
        runner(securityContext={"capabilities": {"add": ["SYS_ADMIN"]}}),
        f"{_RUNNER}.securityContext.capabilities.add",
        "NET_BIND_SERVICE",
    ),
    Refusal(
        "privileges: capabilities that stay",
        runner(securityContext={"capabilities": {"drop": []}}),
        f"{_RUNNER}.securityContext.capabilities.drop",
        "[ALL]",
    ),
    Refusal(
        "privileges: capabilities, by taking the word away",
        runner(securityContext={"capabilities": None}),
        f"{_RUNNER}.securityContext.capabilities",
        "leave it out",
    ),
    Refusal(
        "the kernel: any call",
        over(securityContext={"seccompProfile": {"type": "Unconfined"}}),
        f"{_SPEC}.securityContext.seccompProfile",
        "RuntimeDefault or Localhost",
    ),
    Refusal(
        "the kernel: any call, by taking the profile away",
        over(securityContext={"seccompProfile": None}),
        f"{_SPEC}.securityContext.seccompProfile",
        "RuntimeDefault or Localhost",
    ),
    Refusal(
        "the kernel: no AppArmor",
        runner(securityContext={"appArmorProfile": {"type": "Unconfined"}}),
        f"{_RUNNER}.securityContext.appArmorProfile",
        "RuntimeDefault or Localhost",
    ),
    Refusal(
        "the kernel: no AppArmor, in its older form",
        metadata(annotations={"container.apparmor.security.beta.kubernetes.io/factotum": "unconfined"}),
        'spec.podTemplate.metadata.annotations["container.apparmor.security.beta.kubernetes.io/factotum"]',
        "use that",
    ),
    Refusal(
        "the kernel: another SELinux type",
        over(securityContext={"seLinuxOptions": {"type": "spc_t"}}),
        f"{_SPEC}.securityContext.seLinuxOptions.type",
        "container_t",
    ),
    Refusal(
        "the kernel: settings of the Node",
        over(securityContext={"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}),
        f"{_SPEC}.securityContext.sysctls[0]",
        "leave it out",
    ),
    Refusal(
        "the kernel: all of /proc",
        runner(securityContext={"procMount": "Unmasked"}),
        f"{_RUNNER}.securityContext.procMount",
        "must stay Default",
    ),
    Refusal(
        "the kernel: of another system",
        runner(securityContext={"windowsOptions": {"hostProcess": True}}),
        f"{_RUNNER}.securityContext.windowsOptions",
        "leave it out",
    ),
    Refusal("the kernel: another system", over(os={"name": "windows"}), f"{_SPEC}.os", "Linux"),
    Refusal(
        "before the cluster's own Pods",
        over(priorityClassName="system-node-critical"),
        f"{_SPEC}.priorityClassName",
        "made for jobs",
    ),
    Refusal("a priority of its own", over(priority=2_000_000), f"{_SPEC}.priority", "priorityClassName"),
    Refusal(
        "a container twice",
        over(containers=[{"name": "factotum"}, {"name": "factotum"}]),
        f"{_SPEC}.containers[1].name",
        "twice",
    ),
)

MISSHAPEN = (
    Refusal("a field that there is not", over(restartpolicy="Never"), f"{_SPEC}.restartpolicy", "knows"),
    Refusal("no container", over(containers=None), f"{_SPEC}.containers", "expected a list"),
    Refusal("no volumes", over(volumes=None), f"{_SPEC}.volumes", "expected a list"),
    Refusal(
        "a container without a name",
        over(containers=[{"image": IMAGE}]),
        f"{_SPEC}.containers[0].name",
        "it must have one",
    ),
    Refusal("a spec that is none", {"podTemplate": {"spec": "x"}}, _SPEC, "expected an object"),
    Refusal(
        "a variable that is a number",
        runner(env=[{"name": "PORT", "value": 8080}]),
        f"{_RUNNER}.env[0].value",
        "quotes",
    ),
)
