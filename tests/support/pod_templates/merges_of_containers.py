"""What may be laid over containers: those before and beside the tasks, variables, users."""

from factotum.kube import names
from support.pod_templates.rows import (
    IMAGE,
    Merge,
    before,
    beside,
    init,
    mounts,
    of_context,
    of_runner,
    of_spec,
    over,
    runner,
    variables,
)

_STRICT = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_BASE_MOUNTS = {"/work": "work", "/tmp": "tmp", "/var/run/secrets/factotum": "token"}
ROWS = (
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
        "workingDir: another",
        runner(workingDir="/app"),
        lambda p: of_runner(p, "workingDir"),
        "/app",
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
        over(
            securityContext={"seccompProfile": {"type": "Localhost", "localhostProfile": "j.json"}}
        ),
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
