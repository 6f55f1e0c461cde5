"""A real Consul that lets in who shows a token, over TLS, and if so told with a certificate only.

Its access lists deny what no policy allows. Certificates are made by the operator's own code.
"""

import http.client
import json
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from factotum.controller.tls import authority
from factotum.controller.tls.authority import Lifetimes, Material
from support.consul.process import ConsulProcess

_MASTER = "6b7e1c1f-8d9a-4a32-9f0c-3f3f7f0d2a11"
SERVER = "server.dc1.consul"
"""The only name in its certificate."""


class GuardedConsul(ConsulProcess):
    """One agent with access lists and TLS. Use as a context manager.

    Attributes:
        files: a folder with ca.crt, client.crt and client.key.
    """

    _headers: Mapping[str, str] = {"X-Consul-Token": _MASTER}

    def __init__(self, folder: Path, *, keep: bool, wants_certificate: bool = False) -> None:
        super().__init__(folder, keep=keep)
        self.files = folder / "files"
        self._wants_certificate = wants_certificate
        self._policies = 0
        self._material = authority.make((SERVER,), datetime.now(UTC), Lifetimes())

    @classmethod
    def fresh(cls, folder: Path, *, wants_certificate: bool = False) -> Self:
        """Prepare an agent that forgets everything when it stops."""
        return cls(folder, keep=False, wants_certificate=wants_certificate)

    def start(self) -> None:
        """Start it and wait until it takes writes."""
        self.files.mkdir(parents=True, exist_ok=True)
        write(self.files, "server", self._material)
        write(self.files, "client", _client_of(self._material))
        (self.files / "ca.crt").write_text(self._material.trusted)
        super().start()

    def token(self, rules: str) -> str:
        """Make a token that may do what the rules say and nothing else."""
        self._policies += 1
        name = f"policy-{self._policies}"
        self._told("/v1/acl/policy", {"Name": name, "Rules": rules})
        made = self._told("/v1/acl/token", {"Policies": [{"Name": name}]})
        return str(made["SecretID"])

    def _told(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        status, answer = self._ask("PUT", path, json.dumps(body).encode())
        if status != 200:
            raise OSError(f"Consul answered {status} {answer!r} to {path}")
        return dict(json.loads(answer))

    def _settings(self) -> dict[str, Any]:
        settings = super()._settings()
        settings["ports"] |= {"http": -1, "https": self.port}
        settings |= {
            "acl": {"enabled": True, "default_policy": "deny", "tokens": {"master": _MASTER}},
            "cert_file": str(self.files / "server.crt"),
            "key_file": str(self.files / "server.key"),
            "ca_file": str(self.files / "ca.crt"),
            "verify_incoming_https": self._wants_certificate,
        }
        return settings

    def _connection(self) -> http.client.HTTPConnection:
        context = ssl.create_default_context(cafile=str(self.files / "ca.crt"))
        context.check_hostname = False
        context.load_cert_chain(self.files / "client.crt", self.files / "client.key")
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=5, context=context)


def _client_of(material: Material) -> Material:
    """Make a certificate for a client, of the same authority: the operator's own are a server's."""
    authority_key = serialization.load_pem_private_key(material.authority_key.encode(), None)
    issuer = x509.load_pem_x509_certificate(material.trusted.encode())
    key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "operator")]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(issuer.not_valid_before_utc)
        .not_valid_after(issuer.not_valid_after_utc)
        .add_extension(usage, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    form = serialization.PrivateFormat.PKCS8
    return Material(
        trusted=material.trusted,
        authority_key=material.authority_key,
        chain=made.public_bytes(pem).decode(),
        key=key.private_bytes(pem, form, serialization.NoEncryption()).decode(),
    )


def write(folder: Path, name: str, material: Material) -> None:
    """Write a certificate and its key."""
    (folder / f"{name}.crt").write_text(material.chain)
    (folder / f"{name}.key").write_text(material.key)
