"""The operator's rights against the API server's audit log. Comes last: the log tells of all tests.

Real: everything. A right that is never used is as wrong as one that is missing.
"""

import json

from support.builders.manifests import make_job
from support.cluster.chart_reading import CLUSTER_WIDE, GROUP, IN_ITS_OWN_NAMESPACE, NAMESPACED, OWN
from support.cluster.clusters import ROOT

ACCOUNT = "system:serviceaccount:factotum-system:factotum-operator"

# What a good day does not need.
FOR_BAD_DAYS = {
    ("authentication.k8s.io", "tokenreviews", "create"),  # a token of a key that is not known
    (GROUP, "factotumjobs", "get"),  # a live look after a conflict
    ("", "pods", "get"),  # a live look at a Pod that no watch shows, or whose claim is refused
    ("", "pods", "delete"),  # a Pod given up before its claim
    ("", "events", "patch"),  # a reason that came again a minute later
    ("", "secrets", "update"),  # a certificate that is due after two months
}


def requests(cluster):
    """List the operator's requests for objects: group, resource, verb, answer."""
    log = cluster.kubeconfig.parent / "log" / "audit.log"
    for line in log.read_text().splitlines():
        entry = json.loads(line)
        target = entry.get("objectRef", {})
        if entry["user"]["username"] == ACCOUNT and "resource" in target:
            parts = [target["resource"], target.get("subresource")]
            resource = "/".join(part for part in parts if part)
            yield target.get("apiGroup", ""), resource, entry["verb"], entry


def test_every_right_is_used_and_none_is_missing(kubelet, done, namespace):
    kubelet.kubectl("apply", "-n", namespace, "-f", str(ROOT / "examples/from-configmap.yaml"))
    done(namespace, "from-configmap")
    kubelet.apply(make_job(namespace))
    done(namespace)
    over = '{"spec": {"ttlSecondsAfterFinished": 0}}'
    kubelet.kubectl("patch", "fj/job", "-n", namespace, "--type=merge", "-p", over)
    kubelet.kubectl("wait", "--for=delete", "fj/job", "-n", namespace, "--timeout=60s")

    seen = list(requests(kubelet))
    used = {(group, resource, verb) for group, resource, verb, _ in seen}
    granted = {
        (group, resource, verb)
        for (group, resource), verbs in (
            NAMESPACED | CLUSTER_WIDE | IN_ITS_OWN_NAMESPACE | OWN
        ).items()
        for verb in verbs
    }
    refused = [
        (entry["requestURI"], entry["responseStatus"].get("message"))
        for *_, entry in seen
        if entry.get("responseStatus", {}).get("code") == 403
        and "being terminated" not in entry["responseStatus"].get("message", "")
    ]

    assert refused == []
    assert granted - used <= FOR_BAD_DAYS
