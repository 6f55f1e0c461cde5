"""What a cluster needs to pull from one registry, as JSON on standard output.

The Secret is taken from a file of the form that `docker login` and `skopeo login` write. Of all
that such a file holds only the entry of that registry gets into the Secret, and nothing of it is
printed anywhere else. A service account gets it beside those that it has. Standard library only:
`make demo` installs nothing.

Usage: pull_secret.py secret FILE REGISTRY NAME NAMESPACE
       pull_secret.py give NAME     with a service account on standard input: a JSON patch
       pull_secret.py take NAME     the same, to take it away again
"""

from __future__ import annotations

import base64
import binascii
import json
import sys
from pathlib import Path
from typing import Any


class Unusable(Exception):  # noqa: N818 - reads as a statement
    """The file gives no credentials for the registry; the text says why, and holds none of them."""


def main() -> int:
    """Print a manifest or a patch."""
    match sys.argv[1:]:
        case ["secret", file, registry, name, namespace]:
            try:
                entry = entry_of(read(Path(file)), registry)
            except Unusable as error:
                print(f"hack/pull_secret.py: {file}: {error}", file=sys.stderr)
                return 1
            print(json.dumps(build_secret(entry, registry, name, namespace)))
        case ["give", name]:
            print(json.dumps(giving(json.load(sys.stdin), name)))
        case ["take", name]:
            print(json.dumps(taking(json.load(sys.stdin), name)))
        case _:
            print((__doc__ or "").partition("Usage: ")[2], file=sys.stderr)
            return 2
    return 0


def giving(account: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Patch a service account so that its Pods pull with this Secret, too."""
    given = [entry.get("name") for entry in account.get("imagePullSecrets") or ()]
    if name in given:
        return []
    if not given:
        return [{"op": "add", "path": "/imagePullSecrets", "value": [{"name": name}]}]
    return [{"op": "add", "path": "/imagePullSecrets/-", "value": {"name": name}}]


def taking(account: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """Patch a service account so that its Pods no longer do; fails if it changed since."""
    given = [entry.get("name") for entry in account.get("imagePullSecrets") or ()]
    if name not in given:
        return []
    path = f"/imagePullSecrets/{given.index(name)}"
    return [{"op": "test", "path": f"{path}/name", "value": name}, {"op": "remove", "path": path}]


def read(file: Path) -> dict[str, Any]:
    """Read the file's entries by registry."""
    try:
        content = json.loads(file.read_bytes())
    except OSError as error:
        raise Unusable(error.strerror or "cannot be read") from None
    except ValueError:
        content = None
    entries = content.get("auths") if isinstance(content, dict) else None
    if not isinstance(entries, dict):
        # Not a word of the content: it may be a password.
        raise Unusable("is no configuration with `auths`, as `skopeo login` writes it")
    return entries


def entry_of(entries: dict[str, Any], registry: str) -> dict[str, str]:
    """Choose the entry for `host[:port]/path`: the one that names most of it, as clients do."""
    host = registry.partition("/")[0]
    parts = registry.split("/")
    names = ["/".join(parts[:length]) for length in range(len(parts), 0, -1)]
    known_as = "index.docker.io" if host == "docker.io" else host
    names += [f"https://{known_as}{path}" for path in ("", "/", "/v1/", "/v2/")]
    for name in names:
        entry = entries.get(name)
        if isinstance(entry, dict) and is_whole(entry.get("auth")):
            return {"auth": entry["auth"]}
    raise Unusable(
        f"has no password for {host} (a helper program may keep it); cure: "
        f"skopeo login --authfile FILE {host}, and give that file"
    )


def is_whole(auth: object) -> bool:
    """Whether this is a user and a password, as the form has it: base64 of `user:password`."""
    try:
        return isinstance(auth, str) and b":" in base64.b64decode(auth, validate=True)
    except binascii.Error:
        return False


def build_secret(entry: dict[str, str], registry: str, name: str, namespace: str) -> dict[str, Any]:
    """Build the Secret. A kubelet knows a registry by its host and port, and by a path if named."""
    content = json.dumps({"auths": {registry: entry}})
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(content.encode()).decode()},
    }


if __name__ == "__main__":
    sys.exit(main())
