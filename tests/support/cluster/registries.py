"""A real image registry (distribution's) as a process of the test's own, with TLS and a password.

It keeps its files in the test's folder. The local node, which is a process of this machine too,
pulls from it once it was told whom to trust: in containerd's own form, a `hosts.toml` by the name
that images have.
"""

import base64
import contextlib
import http.client
import json
import shutil
import socket
import ssl
import subprocess
import tarfile
import time
import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from factotum.controller.tls import authority
from factotum.controller.tls.authority import Lifetimes, Material
from support.cluster import clusters

NODE_REGISTRIES = Path("/var/lib/factotum-node/registries")
"""Where the local node looks up how to reach a registry, at each pull."""
USER, PASSWORD = "puller", "open-sesame-7319"
_HASHED = "$2b$04$2AHjTgu5gHBPmtnrMeo1Q.4QZkBuovxIIvHd0R3Iyh9dgl1MPCSAS"
"""The password, as `htpasswd -B` writes it."""
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_START_SECONDS = 10


class Registry:
    """A registry that runs, and how to speak to it.

    Attributes:
        address: `host:port`, as images' names begin.
        authority: file with the certificate of whom to trust, PEM.
    """

    def __init__(self, folder: Path, address: str, material: Material, *, locked: bool) -> None:
        self.folder = folder
        self.address = address
        self.authority = folder / "authority.pem"
        self.authority.write_text(material.trusted)
        self._material = material
        self._locked = locked

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"https://{self.address}"

    @property
    def log(self) -> str:
        """What it said, a line for each request among it."""
        return (self.folder / "log").read_text()

    def credentials(self, password: str = PASSWORD) -> dict[str, Any]:
        """Give the entry of a user, as `docker login` writes it."""
        pair = base64.b64encode(f"{USER}:{password}".encode()).decode()
        return {"auths": {self.address: {"auth": pair}}}

    def write_credentials(self, name: str = "auth.json", password: str = PASSWORD) -> Path:
        """Write such a file."""
        path = self.folder / name
        path.write_text(json.dumps(self.credentials(password)))
        return path

    def secret(self, namespace: str, name: str = "puller") -> dict[str, Any]:
        """Build the Secret to pull with."""
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": namespace},
            "type": "kubernetes.io/dockerconfigjson",
            "stringData": {".dockerconfigjson": json.dumps(self.credentials())},
        }

    def push(self, archive: Path, name: str) -> str:
        """Store an OCI archive's image as `path:tag`, byte for byte; return its digest."""
        path, _, tag = name.rpartition(":")
        with tarfile.open(archive) as content:

            def read(blob: str) -> bytes:
                file = content.extractfile("blobs/" + blob.replace(":", "/"))
                assert file is not None
                return file.read()

            index = content.extractfile("index.json")
            assert index is not None
            digest = str(json.load(index)["manifests"][0]["digest"])
            raw = read(digest)
            manifest = json.loads(raw)
            for blob in (manifest["config"]["digest"], *(b["digest"] for b in manifest["layers"])):
                self._upload(path, blob, read(blob))
        self._ask("PUT", f"/v2/{path}/manifests/{tag}", raw, {"Content-Type": _MANIFEST})
        return digest

    def _upload(self, path: str, digest: str, content: bytes) -> None:
        place = self._ask("POST", f"/v2/{path}/blobs/uploads/")
        parts = urllib.parse.urlsplit(place)
        target = f"{parts.path}?{parts.query}&digest={urllib.parse.quote(digest)}"
        self._ask("PUT", target, content, {"Content-Type": "application/octet-stream"})

    def _ask(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> str:
        """Send a request that is to succeed; return the answer's Location."""
        tls = ssl.create_default_context(cafile=str(self.authority))
        connection = http.client.HTTPSConnection(self.address, context=tls, timeout=20)
        known = self._authorization() if self._locked else {}
        with contextlib.closing(connection):
            connection.request(method, path, body, (headers or {}) | known)
            answer = connection.getresponse()
            said = answer.read()
            assert answer.status < 300, f"{method} {path}: {answer.status} {said[:500]!r}"
            return answer.getheader("Location") or ""

    def _authorization(self) -> dict[str, str]:
        pair = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return {"Authorization": f"Basic {pair}"}

    @contextlib.contextmanager
    def known_to_the_node(self) -> Iterator[None]:
        """Have the node trust its certificate."""
        with node_knows(self.address, self.url, self.authority):
            yield

    @contextlib.contextmanager
    def mirroring(self, public: str) -> Iterator[None]:
        """Have the node ask it for the images of a public registry, which is not to be reached."""
        # What is public there needs no Secret of a Pod, so the password is the node's affair.
        headers = self._authorization() if self._locked else {}
        with node_knows(public, self.url, self.authority, mirror=True, headers=headers):
            yield


@contextlib.contextmanager
def node_knows(
    name: str,
    url: str,
    authority: Path,
    *,
    mirror: bool = False,
    headers: dict[str, str] | None = None,
) -> Iterator[None]:
    """Tell the node where the registry of a name is, and whom to trust there.

    Args:
        mirror: what is there is asked first; the registry itself does not exist.
    """
    folder = NODE_REGISTRIES / name
    folder.mkdir(parents=True)
    server = "https://public.invalid" if mirror else url
    lines = [f'server = "{server}"', f'[host."{url}"]', f'ca = "{authority}"']
    lines += ['capabilities = ["pull", "resolve"]']
    if headers:
        lines += [f'[host."{url}".header]']
        lines += [f'{key} = "{value}"' for key, value in headers.items()]
    (folder / "hosts.toml").write_text("\n".join(lines))
    try:
        yield
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def running(folder: Path, host: str, *, locked: bool = True) -> Iterator[Registry]:
    """Run a registry on a free port.

    Args:
        host: an address of this machine; its certificate is for that one.
        locked: whether nobody gets anything without the password.
    """
    folder.mkdir(parents=True)
    material = authority.make((host,), datetime.now(UTC), Lifetimes())
    port = _free_port(host)
    registry = Registry(folder, f"{host}:{port}", material, locked=locked)
    (folder / "tls.crt").write_text(material.chain)
    (folder / "tls.key").write_text(material.key)
    (folder / "htpasswd").write_text(f"{USER}:{_HASHED}\n")
    settings = folder / "settings.yml"
    settings.write_text(json.dumps(_settings(folder, registry.address, locked=locked)))
    program = clusters.programs("registry") / "registry"
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [program, "serve", settings],
            stdout=log,
            stderr=subprocess.STDOUT,
            # Nothing of this process's: it reads its settings from variables, too.
            env={},
        )
    try:
        _wait_until_it_listens(registry, host, port, process)
        yield registry
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _settings(folder: Path, address: str, *, locked: bool) -> dict[str, Any]:
    settings: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "info"},
        "storage": {"filesystem": {"rootdirectory": str(folder / "files")}},
        "http": {
            "addr": address,
            "tls": {"certificate": str(folder / "tls.crt"), "key": str(folder / "tls.key")},
        },
    }
    if locked:
        settings["auth"] = {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
    return settings


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _wait_until_it_listens(
    registry: Registry, host: str, port: int, process: subprocess.Popen[bytes]
) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection((host, port), timeout=1):
            return
        assert process.poll() is None, f"the registry ended: {registry.log[-2000:]}"
        assert time.monotonic() < deadline, f"the registry does not listen: {registry.log[-2000:]}"
        time.sleep(0.02)
