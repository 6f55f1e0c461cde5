"""Write the chart as it is released: with the images that were pushed, by digest.

Takes build/images/digests, which `make push` wrote, and leaves the chart's folder as it is; the
copy in build/chart differs from it in the images' names alone, comments and all. `helm package`
makes the archive of it. Standard library only.

Usage: packaged_chart.py
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "charts" / "factotum-operator"
OUT = ROOT / "build" / "chart"
DIGESTS = ROOT / "build" / "images" / "digests"
PLACES = {"factotum-operator": ("image",), "factotum-runner": ("runner", "image")}
"""Where the values name each image."""


class Unfit(Exception):  # noqa: N818 - reads as a statement
    """There is nothing to make a chart of; the text says why, and the cure."""


def main() -> int:
    """Write build/chart/factotum-operator-VERSION.tgz."""
    helm = shutil.which("helm") or str(Path.home() / ".cache/factotum-operator/bin/helm")
    try:
        values = with_images((CHART / "values.yaml").read_text(), read_digests())
    except Unfit as error:
        print(f"make chart: {error}", file=sys.stderr)
        return 1
    shutil.rmtree(OUT, ignore_errors=True)
    copy = OUT / "factotum-operator"
    shutil.copytree(CHART, copy)
    (copy / "values.yaml").write_text(values)
    return subprocess.run([helm, "package", copy, "--destination", OUT], check=False).returncode


def read_digests() -> dict[str, tuple[str, str]]:
    """Read which images were pushed: by name, the repository and the digest."""
    if not DIGESTS.exists():
        raise Unfit("no images were pushed; cure: make push REGISTRY=host/path")
    lines = [line.split() for line in DIGESTS.read_text().splitlines()]
    pushed = {name: (repository, digest) for name, repository, digest in lines}
    if missing := PLACES.keys() - pushed.keys():
        raise Unfit(f"{', '.join(sorted(missing))} was not pushed; cure: make images push")
    return pushed


def with_images(values: str, pushed: dict[str, tuple[str, str]]) -> str:
    """Put repositories and digests into the text of values.yaml."""
    for name, path in PLACES.items():
        repository, digest = pushed[name]
        values = with_value(values, (*path, "repository"), repository)
        values = with_value(values, (*path, "digest"), digest)
    return values


def with_value(text: str, path: tuple[str, ...], value: str) -> str:
    """Replace one value of a YAML text in block style; all else stays as it is written.

    Raises:
        Unfit: there is no such key.
    """
    lines = text.split("\n")
    level = 0
    for number, line in enumerate(lines):
        found = re.match(r"( *)([\w.-]+):", line)
        if not found:
            continue
        depth = len(found[1]) // 2
        level = min(level, depth)
        if depth == level and found[2] == path[level]:
            level += 1
            if level == len(path):
                lines[number] = f'{found[0]} "{value}"'
                return "\n".join(lines)
    raise Unfit(f"charts/factotum-operator/values.yaml has no {'.'.join(path)}")


if __name__ == "__main__":
    sys.exit(main())
