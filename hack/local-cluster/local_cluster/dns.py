"""The cluster's DNS: CoreDNS as a process of this machine behind the Service kube-dns.

The Service has no selector; its EndpointSlice, written here, names the machine's address.
"""

import socket
import struct
from pathlib import Path
from typing import Any

from local_cluster import certificates, records
from local_cluster.api import Api
from local_cluster.processes import Processes
from local_cluster.records import Record

SERVICE_ADDRESS = "10.96.0.10"
DOMAIN = "cluster.local"
_NAMESPACE = "kube-system"


def corefile(state: Path, record: Record) -> str:
    """Give CoreDNS's configuration.

    Names in STATE/dns-hosts (the form of /etc/hosts) are answered too, within a second of
    being written there: for trying host constraints with names of one's own.
    """
    return f""".:{record.dns_port} {{
    bind {record.address}
    errors
    hosts {state / "dns-hosts"} {{
        reload 1s
        ttl 1
        fallthrough
    }}
    kubernetes {DOMAIN} in-addr.arpa ip6.arpa {{
        kubeconfig {state / "pki" / "dns.kubeconfig"}
        ttl 5
    }}
    forward . /etc/resolv.conf
    cache 5
}}
"""


def build_service() -> dict[str, Any]:
    """Build the Service that Pods' resolv.conf names."""
    ports = [
        {"name": "dns", "protocol": "UDP", "port": 53, "targetPort": 53},
        {"name": "dns-tcp", "protocol": "TCP", "port": 53, "targetPort": 53},
    ]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "kube-dns", "namespace": _NAMESPACE},
        "spec": {"clusterIP": SERVICE_ADDRESS, "ports": ports},
    }


def build_endpoints(record: Record) -> dict[str, Any]:
    """Build the EndpointSlice that leads to the process."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "kube-dns",
            "namespace": _NAMESPACE,
            "labels": {"kubernetes.io/service-name": "kube-dns"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": [record.address]}],
        "ports": [
            {"name": "dns", "protocol": "UDP", "port": record.dns_port},
            {"name": "dns-tcp", "protocol": "TCP", "port": record.dns_port},
        ],
    }


def _answers(record: Record) -> bool:
    name = b"".join(
        bytes([len(label)]) + label.encode()
        for label in f"kubernetes.default.svc.{DOMAIN}".split(".")
    )
    header = struct.pack(">6H", 1, 0x0100, 1, 0, 0, 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.5)
        try:
            client.connect((record.address, record.dns_port))
            client.send(header + name + b"\0" + struct.pack(">2H", 1, 1))
            answer = client.recv(512)
        except OSError:
            return False
    _, flags, _, answers = struct.unpack(">4H", answer[:8])
    return bool(flags & 0xF == 0 and answers > 0)


def start(program: Path, state: Path, record: Record, processes: Processes, api: Api) -> None:
    """Start CoreDNS and lead the Service to it."""
    pki = records.certificates(state)
    certificates.write_kubeconfig(
        pki / "dns.kubeconfig",
        server=f"https://127.0.0.1:{record.api_port}",
        certificates=pki,
        user="admin",
        name=record.name,
    )
    (state / "dns-hosts").touch()
    (state / "Corefile").write_text(corefile(state, record))
    processes.start("coredns", [program, "-conf", state / "Corefile"])
    api.create(f"/api/v1/namespaces/{_NAMESPACE}/services", build_service())
    api.create(
        f"/apis/discovery.k8s.io/v1/namespaces/{_NAMESPACE}/endpointslices", build_endpoints(record)
    )
    processes.wait_until(
        "coredns", lambda: _answers(record), seconds=60, what="resolves cluster names"
    )
