"""etcd, API server, controller manager and scheduler: their flags and the order of start.

Flags differ from the defaults for two reasons only, each told beside the flag: nothing here
has to survive a power cut, and the programs' own client-side throttles would be measured
instead of the thing under test.
"""

import json
from pathlib import Path

from local_cluster import certificates, records
from local_cluster.api import Api
from local_cluster.certificates import Identity
from local_cluster.processes import Processes
from local_cluster.records import Profile, Record

SERVICES = "10.96.0.0/20"
API_SERVICE = "10.96.0.1"
NODE_NAME = "node-1"
_ANY = "0.0.0.0"  # noqa: S104 - Pods come by the bridge, whose address is not known yet

# "RequestReceived" would double the log and says nothing that the end of a request does not.
_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "rules": [{"level": "Metadata"}],
    "omitStages": ["RequestReceived"],
}

# The programs' own throttles (20 requests a second by default) would be what is measured.
_UNTHROTTLED = ("--kube-api-qps=2000", "--kube-api-burst=2000")


def identities(record: Record) -> list[Identity]:
    """List who needs a certificate in this cluster."""
    dns = ["localhost"]
    dns += [f"kubernetes{end}" for end in ("", ".default", ".default.svc")]
    dns += ["kubernetes.default.svc.cluster.local"]
    addresses = dict.fromkeys(["127.0.0.1", API_SERVICE, record.address])
    api_names = ",".join([*(f"DNS:{n}" for n in dns), *(f"IP:{a}" for a in addresses)])
    wanted = [
        Identity(file="apiserver", subject="/CN=kube-apiserver", names=api_names),
        Identity(file="admin", subject="/O=system:masters/CN=admin"),
        Identity(file="kube-controller-manager", subject="/CN=system:kube-controller-manager"),
        Identity(file="kube-scheduler", subject="/CN=system:kube-scheduler"),
    ]
    if record.profile is Profile.NODE:
        wanted += [
            Identity(
                file="node",
                subject=f"/O=system:nodes/CN=system:node:{NODE_NAME}",
                names=f"DNS:{NODE_NAME},IP:{record.address}",
            ),
            Identity(file="kube-proxy", subject="/CN=system:kube-proxy"),
            Identity(file="apiserver-kubelet", subject="/O=system:masters/CN=kube-apiserver"),
        ]
    return wanted


def prepare(state: Path, record: Record) -> None:
    """Write keys, certificates, kubeconfigs and the audit policy."""
    folder = records.certificates(state)
    wanted = identities(record)
    certificates.create_all(folder, wanted)
    server = f"https://127.0.0.1:{record.api_port}"
    for identity in wanted:
        if identity.file in ("apiserver", "apiserver-kubelet"):
            continue
        path = folder / f"{identity.file}.kubeconfig"
        certificates.write_kubeconfig(
            path, server=server, certificates=folder, user=identity.file, name=record.name
        )
    (folder / "admin.kubeconfig").rename(records.kubeconfig(state))
    (state / "audit-policy.json").write_text(json.dumps(_AUDIT_POLICY))


def etcd_command(program: Path, state: Path, record: Record) -> list[str]:
    """Build the command line of etcd."""
    client = f"http://127.0.0.1:{record.etcd_port}"
    peer = f"http://127.0.0.1:{record.etcd_peer_port}"
    return [
        str(program),
        f"--data-dir={state / 'etcd'}",
        "--unsafe-no-fsync",  # nothing to keep over a power cut
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--log-level=warn",
    ]


def api_server_command(program: Path, state: Path, record: Record) -> list[str]:
    """Build the command line of the API server."""
    pki = records.certificates(state)
    has_node = record.profile is Profile.NODE
    command = [
        str(program),
        f"--etcd-servers=http://127.0.0.1:{record.etcd_port}",
        f"--secure-port={record.api_port}",
        # Pods and kubelets come by the machine's address; tests only ever by the loop.
        f"--bind-address={_ANY if has_node else '127.0.0.1'}",
        f"--tls-cert-file={pki / 'apiserver.crt'}",
        f"--tls-private-key-file={pki / 'apiserver.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--service-account-key-file={pki / 'sa.pub'}",
        f"--service-account-signing-key-file={pki / 'sa.key'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-cluster-ip-range={SERVICES}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--audit-log-path={records.audit_log(state)}",
        f"--audit-policy-file={state / 'audit-policy.json'}",
    ]
    if has_node:
        command += [
            f"--advertise-address={record.address}",
            f"--kubelet-client-certificate={pki / 'apiserver-kubelet.crt'}",
            f"--kubelet-client-key={pki / 'apiserver-kubelet.key'}",
            f"--kubelet-certificate-authority={pki / 'ca.crt'}",
            # The node's name need not resolve; logs and exec must work all the same.
            "--kubelet-preferred-address-types=InternalIP",
        ]
    else:
        # There is nobody to reach the API by its Service, and a loop address may not be one.
        command += ["--endpoint-reconciler-type=none"]
    return command


def controller_manager_command(program: Path, state: Path) -> list[str]:
    """Build the command line of the controller manager."""
    pki = records.certificates(state)
    return [
        str(program),
        f"--kubeconfig={pki / 'kube-controller-manager.kubeconfig'}",
        f"--service-account-private-key-file={pki / 'sa.key'}",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--cluster-signing-cert-file={pki / 'ca.crt'}",
        f"--cluster-signing-key-file={pki / 'ca.key'}",
        "--use-service-account-credentials",
        "--leader-elect=false",
        "--secure-port=0",
        "--concurrent-job-syncs=20",
        *_UNTHROTTLED,
    ]


def scheduler_command(program: Path, state: Path) -> list[str]:
    """Build the command line of the scheduler."""
    pki = records.certificates(state)
    return [
        str(program),
        f"--kubeconfig={pki / 'kube-scheduler.kubeconfig'}",
        "--leader-elect=false",
        "--secure-port=0",
        *_UNTHROTTLED,
    ]


def client(state: Path, record: Record) -> Api:
    """Give the administrator's access to a cluster."""
    return Api(record.api_port, records.certificates(state))


def start(programs: dict[str, Path], state: Path, record: Record, processes: Processes) -> Api:
    """Start all four and wait until a Pod could be created."""
    processes.start("etcd", etcd_command(programs["etcd"], state, record))
    processes.start("kube-apiserver", api_server_command(programs["kube-apiserver"], state, record))
    api = client(state, record)
    # The others' first requests need it to answer, not to be quite ready; they retry the rest, but
    # give up after 10 s, which are little on a busy machine.
    processes.wait_until(
        "kube-apiserver", lambda: api.is_ok("/livez/ping"), seconds=120, what="answers"
    )
    processes.start_impatient(
        "kube-controller-manager",
        controller_manager_command(programs["kube-controller-manager"], state),
    )
    processes.start_impatient(
        "kube-scheduler", scheduler_command(programs["kube-scheduler"], state)
    )
    processes.wait_until("kube-apiserver", lambda: api.is_ok("/readyz"), seconds=120, what="ready")
    # Without it the API server refuses every Pod.
    account = "/api/v1/namespaces/default/serviceaccounts/default"
    processes.wait_until(
        "kube-controller-manager",
        lambda: api.is_ok(account),
        seconds=120,
        what="default service account made",
    )
    return api
