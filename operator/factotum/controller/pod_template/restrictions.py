"""What a job's template may not ask for: what would make its Pod less restricted.

Whoever may make FactotumJobs need not have a right to make Pods. So the measure is Pod Security
`restricted`, whatever the namespace enforces: nothing that a template asks for goes beyond it, in
any container. A root file system that can be written is not beyond it, since it is the
container's own and ends with it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

Violation = tuple[str, str]
"""A path and what is wrong there."""

_VOLUMES: Final = frozenset(
    {
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    }
)
_OF_POD: Final = frozenset(
    {
        "appArmorProfile",
        "fsGroup",
        "fsGroupChangePolicy",
        "runAsGroup",
        "runAsNonRoot",
        "runAsUser",
        "seLinuxChangePolicy",
        "seLinuxOptions",
        "seccompProfile",
        "supplementalGroups",
        "supplementalGroupsPolicy",
        "sysctls",
    }
)
_OF_CONTAINER: Final = frozenset(
    {
        "allowPrivilegeEscalation",
        "appArmorProfile",
        "capabilities",
        "privileged",
        "procMount",
        "readOnlyRootFilesystem",
        "runAsGroup",
        "runAsNonRoot",
        "runAsUser",
        "seLinuxOptions",
        "seccompProfile",
    }
)
_ONLY: Final[Mapping[str, tuple[tuple[Any, ...], str]]] = {
    "allowPrivilegeEscalation": ((False,), "must stay false"),
    "privileged": ((False,), "must stay false"),
    "procMount": (("Default",), "must stay Default"),
    "runAsNonRoot": ((True,), "must stay true"),
}
_HOST: Final = ("hostIPC", "hostNetwork", "hostPID")
_PROFILES: Final = ("seccompProfile", "appArmorProfile")
_PROFILE_KINDS: Final = ("RuntimeDefault", "Localhost")
_SELINUX_TYPES: Final = (
    "",
    "container_t",
    "container_init_t",
    "container_kvm_t",
    "container_engine_t",
)
_SAFE_SYSCTLS: Final = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    }
)
_CAPABILITIES: Final = frozenset({"NET_BIND_SERVICE"})
_APPARMOR: Final = "container.apparmor.security.beta.kubernetes.io/"
_HANDLERS: Final = (
    ("livenessProbe",),
    ("readinessProbe",),
    ("startupProbe",),
    ("lifecycle", "postStart"),
    ("lifecycle", "preStop"),
)
_RESTRICTED: Final = "no more than Pod Security `restricted` allows"


def of_pod(metadata: Mapping[str, Any], spec: Mapping[str, Any], root: str) -> Iterator[Violation]:
    """List what a Pod's own fields ask for beyond what is allowed."""
    for key in metadata.get("annotations") or ():
        if key.startswith(_APPARMOR):
            words = "the older form of securityContext.appArmorProfile: use that"
            yield f'{root}.metadata.annotations["{key}"]', words
    for field in _HOST:
        if spec.get(field):
            yield f"{root}.spec.{field}", f"{_RESTRICTED}: leave it out"
    if str(spec.get("priorityClassName", "")).startswith("system-"):
        words = "this class is for the cluster's own Pods: use one that was made for jobs"
        yield f"{root}.spec.priorityClassName", words
    path = f"{root}.spec.securityContext"
    context = spec.get("securityContext", {})
    if context is None:
        yield path, "it cannot be taken away: leave it out"
        return
    yield from _context(context, _OF_POD, path)
    for number, sysctl in enumerate(context.get("sysctls") or ()):
        name = sysctl.get("name") if isinstance(sysctl, Mapping) else None
        if name not in _SAFE_SYSCTLS:
            yield f"{path}.sysctls[{number}]", f"{name!r:.60} is not safe for others: leave it out"


def of_volume(volume: Mapping[str, Any], path: str, audience: str) -> Iterator[Violation]:
    """List what a volume asks for beyond what is allowed.

    Args:
        audience: of the runner's token.
    """
    for kind in sorted(volume.keys() - _VOLUMES - {"name"}):
        words = (
            f"{_RESTRICTED}: use a persistentVolumeClaim, or another of"
            f" {', '.join(sorted(_VOLUMES))}"
        )
        yield f"{path}.{kind}", words
    yield from of_projected(volume, path, audience)


def of_projected(volume: Mapping[str, Any], path: str, audience: str) -> Iterator[Violation]:
    """List the tokens of a volume by which another container could speak as the runner."""
    projected = volume.get("projected")
    sources = projected.get("sources") if isinstance(projected, Mapping) else None
    for number, source in enumerate(sources if isinstance(sources, Sequence) else ()):
        token = source.get("serviceAccountToken") if isinstance(source, Mapping) else None
        if isinstance(token, Mapping) and token.get("audience") == audience:
            words = f"tokens for {audience} are the runner's alone: choose another audience"
            yield f"{path}.projected.sources[{number}].serviceAccountToken.audience", words


def of_container(container: Mapping[str, Any], path: str) -> Iterator[Violation]:
    """List what a container asks for beyond what is allowed."""
    where = f"{path}.securityContext"
    context = container.get("securityContext", {})
    if context is None:
        yield where, "it cannot be taken away: leave it out"
    else:
        yield from _context(context, _OF_CONTAINER, where)
        yield from _capabilities(context, where)
    for number, port in enumerate(container.get("ports") or ()):
        if isinstance(port, Mapping) and port.get("hostPort"):
            words = f"{_RESTRICTED}: leave it out, and use a Service"
            yield f"{path}.ports[{number}].hostPort", words
    yield from _hosts(container, path)


def _hosts(container: Mapping[str, Any], path: str) -> Iterator[Violation]:
    """List the hosts that the Node would ask in the job's name."""
    for steps in _HANDLERS:
        handler: Any = container
        for step in steps:
            handler = handler.get(step) if isinstance(handler, Mapping) else None
        for kind in ("httpGet", "tcpSocket"):
            asked = handler.get(kind) if isinstance(handler, Mapping) else None
            if isinstance(asked, Mapping) and asked.get("host"):
                words = f"{_RESTRICTED}: leave it out, and the Pod itself is asked"
                yield f"{path}.{'.'.join(steps)}.{kind}.host", words


def _context(context: Mapping[str, Any], fields: frozenset[str], path: str) -> Iterator[Violation]:
    for field in sorted(context.keys() - fields):
        yield f"{path}.{field}", "no field that a job's Pod may have: leave it out"
    for field, (values, words) in _ONLY.items():
        if field in context and context[field] not in values:
            yield f"{path}.{field}", f"{words}, {_RESTRICTED}"
    user = context.get("runAsUser")
    if user is not None and (not isinstance(user, int) or user <= 0):
        yield f"{path}.runAsUser", "must be a user id greater than 0"
    for field in _PROFILES:
        if field in context:
            yield from _profile(context[field], f"{path}.{field}")
    yield from _selinux(context.get("seLinuxOptions"), f"{path}.seLinuxOptions")


def _selinux(options: object, path: str) -> Iterator[Violation]:
    if not isinstance(options, Mapping):
        return
    if options.get("type", "") not in _SELINUX_TYPES:
        kinds = ", ".join(_SELINUX_TYPES[1:])
        yield f"{path}.type", f"{_RESTRICTED}: one of {kinds}, or leave it out"
    for field in ("user", "role"):
        if options.get(field):
            yield f"{path}.{field}", f"{_RESTRICTED}: leave it out"


def _profile(profile: object, path: str) -> Iterator[Violation]:
    kind = profile.get("type", _PROFILE_KINDS[0]) if isinstance(profile, Mapping) else profile
    if kind not in _PROFILE_KINDS:
        yield path, f"must be of the type RuntimeDefault or Localhost, {_RESTRICTED}"


def _capabilities(context: Mapping[str, Any], path: str) -> Iterator[Violation]:
    capabilities = context.get("capabilities", {})
    if not isinstance(capabilities, Mapping):
        yield f"{path}.capabilities", "all must stay dropped: leave it out"
        return
    if "drop" in capabilities and "ALL" not in (capabilities["drop"] or ()):
        yield f"{path}.capabilities.drop", "must stay [ALL]: leave it out"
    added = capabilities.get("add") or ()
    if not isinstance(added, Sequence) or not _CAPABILITIES.issuperset(map(str, added)):
        allowed = ", ".join(_CAPABILITIES)
        yield f"{path}.capabilities.add", f"{_RESTRICTED}: nothing, or {allowed}"
