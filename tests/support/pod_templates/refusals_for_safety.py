"""What no job may lay over its Pod, for it would reach the host, or other jobs."""

from support.pod_templates.rows import (
    Refusal,
    before,
    beside,
    metadata,
    over,
    runner,
)

_SPEC = "spec.podTemplate.spec"
_RUNNER = f"{_SPEC}.containers[0]"
_INIT = f"{_SPEC}.initContainers[0]"
_TOKEN_FOLDER = "/var/run/secrets/factotum"
_HTTP = {"httpGet": {"path": "/", "port": 80, "host": "169.254.169.254"}}
_OURS = {
    "projected": {
        "sources": [{"serviceAccountToken": {"audience": "factotum-operator", "path": "t"}}]
    }
}

ROWS = (
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
        metadata(
            annotations={"container.apparmor.security.beta.kubernetes.io/factotum": "unconfined"}
        ),
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
    Refusal(
        "a priority of its own", over(priority=2_000_000), f"{_SPEC}.priority", "priorityClassName"
    ),
)
