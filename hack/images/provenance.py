"""What an image says of itself: the labels and annotations of the OCI, the same at each build.

Standard library only. What a label says is part of the image's digest, so nothing here may depend
on the machine, the folder or the hour. Which commit an image was built from is said only if asked
for (REVISION), and only if it is true.
"""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PREFIX = "org.opencontainers.image."
EPOCH = 1_700_000_000
"""Time stamp of every file, in seconds since 1970: layers of equal content are equal, whenever
they were made, and of a new release a Node pulls what changed."""

_DESCRIPTIONS = {
    "runner": "Runs the tasks of a FactotumJob; brings itself into images of any kind",
    "operator": "Controller of FactotumJobs",
    "consul": "Consul for trying out",
}
_LICENSES = {"consul": "MPL-2.0"}
# What the images are made of, or by.
_SOURCES = ("operator", "images", "hack", "constraints.txt", "pyproject.toml")


class UntrueError(Exception):
    """A label was asked for that would not be true; the text says why."""


def labels(name: str, version: str, base: str | None) -> dict[str, str]:
    """Give an image's labels.

    Args:
        name: runner, operator or consul.
        version: the project's, or for consul its own.
        base: the image it is built on, if a registry has it: `name`, or `name@sha256:...`.

    Raises:
        UntrueError: REVISION or SOURCE_URL is set to what cannot be true.
    """
    said = {
        "title": name if name == "consul" else f"factotum-{name}",
        "description": _DESCRIPTIONS[name],
        "version": version,
        "licenses": _LICENSES.get(name, "Apache-2.0"),
    }
    if revision := os.environ.get("REVISION"):
        check_revision(revision)
        said |= {"revision": revision, "created": commit_time(revision)}
    if source := os.environ.get("SOURCE_URL"):
        if not re.fullmatch(r"https://[\w.:/~-]+", source, re.ASCII):
            raise UntrueError("SOURCE_URL is no https:// address of a repository")
        said["source"] = source
    if base:
        reference, _, digest = base.partition("@")
        said["base.name"] = reference
        if digest:
            said["base.digest"] = digest
    return {PREFIX + key: value for key, value in said.items()}


def check_revision(revision: str) -> None:
    """Refuse a commit that is not what is being built."""
    if not re.fullmatch("[0-9a-f]{40}", revision):
        raise UntrueError("REVISION is no commit (40 hexadecimal digits); cure: git rev-parse HEAD")
    if git("rev-parse", "HEAD") != revision:
        raise UntrueError(f"REVISION={revision} is not the commit that is checked out")
    if changed := git("status", "--porcelain", "--", *_SOURCES):
        raise UntrueError(f"REVISION is set, but what is built was never committed:\n{changed}")


def commit_time(revision: str) -> str:
    """Give a commit's time in the form of RFC 3339, UTC."""
    return git("show", "-s", "--date=format-local:%Y-%m-%dT%H:%M:%SZ", "--format=%cd", revision)


def git(*arguments: str) -> str:
    """Ask git about this tree."""
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *arguments],
            capture_output=True,
            text=True,
            env=os.environ | {"TZ": "UTC"},
            check=False,
        )
    except FileNotFoundError:
        raise UntrueError("REVISION is set, and there is no git to prove it by") from None
    if done.returncode:
        raise UntrueError(f"REVISION is set, and git says: {done.stderr.strip()}")
    return done.stdout.strip()
