"""Which fields of a Pod a template may have, and what is said of the others.

Every field is named, so that one which comes with a later Kubernetes is looked at before it can
undo a promise of ours.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple


class Fixed(NamedTuple):
    """A field that nobody changes.

    Attributes:
        words: why, and what to do instead.
        values: what it may say, as it changes nothing.
    """

    words: str
    values: tuple[Any, ...] = ()


OF_SPEC: Final = frozenset(
    {
        "affinity",
        "automountServiceAccountToken",
        "containers",
        "dnsConfig",
        "dnsPolicy",
        "enableServiceLinks",
        "hostAliases",
        "hostIPC",
        "hostNetwork",
        "hostPID",
        "hostUsers",
        "hostname",
        "hostnameOverride",
        "imagePullSecrets",
        "initContainers",
        "nodeSelector",
        "preemptionPolicy",
        "priorityClassName",
        "readinessGates",
        "resourceClaims",
        "resources",
        "runtimeClassName",
        "schedulerName",
        "schedulingGates",
        "securityContext",
        "serviceAccountName",
        "setHostnameAsFQDN",
        "subdomain",
        "terminationGracePeriodSeconds",
        "tolerations",
        "topologySpreadConstraints",
        "volumes",
    }
)
FIXED_OF_SPEC: Final[Mapping[str, Fixed]] = {
    "activeDeadlineSeconds": Fixed(
        "the deadline is the job's: set spec.activeDeadlineSeconds of the FactotumJob instead"
    ),
    "ephemeralContainers": Fixed("a Pod is made without any: use `kubectl debug` once it runs"),
    "nodeName": Fixed(
        "the scheduler chooses the Node: name one by constraints.host of the FactotumJob, or by"
        " nodeSelector"
    ),
    "os": Fixed("the runner is a program of Linux: leave it out", ({"name": "linux"},)),
    "overhead": Fixed("Kubernetes sets it: choose a runtimeClassName instead"),
    "priority": Fixed("Kubernetes sets it: choose a priorityClassName instead"),
    "restartPolicy": Fixed(
        "a run that has begun is never repeated by the kubelet, so it is Never: leave it out; for"
        " another attempt of a job that failed there is spec.retry of the FactotumJob",
        ("Never",),
    ),
    "serviceAccount": Fixed("this is the old name of serviceAccountName: use that"),
    "shareProcessNamespace": Fixed(
        "other containers would see into the runner's process: leave it out", (False,)
    ),
}

OF_RUNNER: Final = frozenset(
    {
        "env",
        "envFrom",
        "imagePullPolicy",
        "name",
        "ports",
        "readinessProbe",
        "resizePolicy",
        "resources",
        "securityContext",
        "volumeDevices",
        "volumeMounts",
        "workingDir",
    }
)
_COMMAND: Final = Fixed(
    "what this container runs is the runner, and the tasks are the factfile's: leave it out, or"
    " put the program into a task"
)
_VERDICT: Final = Fixed("the runner tells the verdict there: leave it out")
_HOOKS: Final = Fixed(
    "it would end a run, or take the time in which it ends in order: leave it out; what must be"
    " done first belongs into a task or into initContainers, and spec.activeDeadlineSeconds of"
    " the FactotumJob ends what hangs"
)
_STREAMS: Final = Fixed("a task has no terminal and nothing to read: leave it out", (False,))
_RESTARTS: Final = Fixed("a run that has begun is never repeated by the kubelet: leave it out")
FIXED_OF_RUNNER: Final[Mapping[str, Fixed]] = {
    "args": _COMMAND,
    "command": _COMMAND,
    "image": Fixed("the runner is brought into it: set spec.image of the FactotumJob instead"),
    "lifecycle": _HOOKS,
    "livenessProbe": _HOOKS,
    "restartPolicy": Fixed(_RESTARTS.words, ("Never",)),
    "restartPolicyRules": _RESTARTS,
    "startupProbe": _HOOKS,
    "stdin": _STREAMS,
    "stdinOnce": _STREAMS,
    "terminationMessagePath": _VERDICT,
    "terminationMessagePolicy": _VERDICT,
    "tty": _STREAMS,
}

OF_INIT: Final = OF_RUNNER | (FIXED_OF_RUNNER.keys() - {"restartPolicyRules"})
FIXED_OF_INIT: Final[Mapping[str, Fixed]] = {
    "restartPolicyRules": Fixed("the kubelet starts no program of a job's Pod again: leave it out"),
}
