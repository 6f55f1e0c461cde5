"""What nobody may lay over a Pod, for it would change a run or whose verdict it is."""

from factotum.kube import names
from support.pod_templates.rows import (
    IMAGE,
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
    # --- what keeps the truth: the run, its verdict, whose the Pod is ---
    Refusal(
        "restartPolicy", over(restartPolicy="OnFailure"), f"{_SPEC}.restartPolicy", "spec.retry"
    ),
    Refusal(
        "restart rules of the container of the tasks",
        runner(
            restartPolicyRules=[
                {"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}
            ]
        ),
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
    Refusal(
        "another image beside spec.image", runner(image=IMAGE), f"{_RUNNER}.image", "set spec.image"
    ),
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
                        {
                            "name": "forged",
                            "mountPath": "/dev/termination-log",
                            "subPath": "verdict",
                        }
                    ],
                }
            ],
        ),
        f"{_RUNNER}.volumeMounts[0].mountPath",
        "mount it elsewhere",
    ),
    Refusal(
        "a runner that is mounted",
        {"image": IMAGE}
        | runner(volumeMounts=[{"name": "work", "mountPath": "/factotum/start.py"}]),
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
    Refusal(
        "an init container called as ours", before(name="factotum"), f"{_INIT}.name", "another"
    ),
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
    Refusal(
        "another name", metadata(name="mine"), "spec.podTemplate.metadata.name", "leave it out"
    ),
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
    Refusal(
        "a Node past the scheduler", over(nodeName="node-1"), f"{_SPEC}.nodeName", "nodeSelector"
    ),
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
        over(
            ephemeralContainers=[{"name": "d", "image": IMAGE, "targetContainerName": "factotum"}]
        ),
        f"{_SPEC}.ephemeralContainers",
        "kubectl debug",
    ),
    Refusal(
        "a container twice",
        over(containers=[{"name": "factotum"}, {"name": "factotum"}]),
        f"{_SPEC}.containers[1].name",
        "twice",
    ),
)
