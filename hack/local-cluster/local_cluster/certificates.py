"""Keys and certificates of a cluster, made by openssl, and kubeconfig files that hold them.

P-256 keys: made in a blink, where RSA ones would take a good part of the start-up.
"""

import base64
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from local_cluster.errors import ClusterError

_DAYS = "365"
# Nothing of the machine's openssl.cnf: distributions differ in what it adds.
_CONFIGURATION = "[req]\ndistinguished_name = dn\nprompt = no\n[dn]\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a certificate speaks for; `names` are its subjectAltName entries."""

    file: str
    subject: str
    names: str = ""


def _openssl(folder: Path, *words: str) -> None:
    try:
        result = subprocess.run(
            ["openssl", *words], cwd=folder, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise ClusterError("openssl is missing; try: apt-get install openssl") from None
    if result.returncode != 0:
        raise ClusterError(f"openssl {words[0]} failed: {result.stderr.strip()}")


def _request(identity: Identity, *words: str) -> tuple[str, ...]:
    return (
        *("req", "-x509", "-config", "req.cnf", "-days", _DAYS, "-nodes"),
        *("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-subj", identity.subject),
        *("-keyout", f"{identity.file}.key", "-out", f"{identity.file}.crt"),
        *("-addext", "subjectKeyIdentifier=hash"),
        *words,
    )


def create_all(folder: Path, identities: list[Identity]) -> None:
    """Make a CA, one certificate per identity and the key that signs service account tokens."""
    folder.mkdir(parents=True, mode=0o700)
    (folder / "req.cnf").write_text(_CONFIGURATION)
    authority = Identity(file="ca", subject="/CN=factotum-local-cluster")
    usage = "keyUsage=critical,digitalSignature,keyCertSign,cRLSign"
    _openssl(
        folder,
        *_request(authority, "-addext", "basicConstraints=critical,CA:TRUE", "-addext", usage),
    )

    def issue(identity: Identity) -> None:
        names = identity.names or f"DNS:{identity.file}"
        _openssl(
            folder,
            *_request(identity, "-CA", "ca.crt", "-CAkey", "ca.key"),
            *("-addext", "authorityKeyIdentifier=keyid"),
            *("-addext", "extendedKeyUsage=serverAuth,clientAuth"),
            *("-addext", f"subjectAltName={names}"),
        )

    def signing_key() -> None:
        _openssl(folder, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "sa.key")
        _openssl(folder, "ec", "-in", "sa.key", "-pubout", "-out", "sa.pub")

    with ThreadPoolExecutor() as pool:
        signing = pool.submit(signing_key)
        list(pool.map(issue, identities))
        signing.result()


def write_kubeconfig(path: Path, *, server: str, certificates: Path, user: str, name: str) -> None:
    """Write a kubeconfig with everything inside, so that copies of it work anywhere."""

    def embedded(file: str) -> str:
        return base64.b64encode((certificates / file).read_bytes()).decode()

    cluster = {"server": server, "certificate-authority-data": embedded("ca.crt")}
    who = {
        "client-certificate-data": embedded(f"{user}.crt"),
        "client-key-data": embedded(f"{user}.key"),
    }
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": cluster}],
        "users": [{"name": f"{name}-{user}", "user": who}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": f"{name}-{user}"}}],
        "current-context": name,
    }
    # JSON is YAML, and a cluster may be called "n" or "1" in it without becoming false or 1.
    path.write_text(json.dumps(content, indent=2) + "\n")
    path.chmod(0o600)
