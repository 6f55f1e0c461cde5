"""Write images/operator/requirements.txt: what the operator's image installs, each by its hashes.

The versions are those of constraints.txt; what is added is which files of a version are meant, so
that an index which serves another one is found out. For both machines that images may be built on.
Called by `make constraints`. Usage: lock.py (any Python with pip)
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from provenance import ROOT

TARGET = ROOT / "images" / "operator" / "requirements.txt"
MACHINES = ("x86_64", "aarch64")
IMAGE_PYTHON = "3.11"  # both bases have it
HEAD = """\
# What the operator's image holds beside our own package. `make constraints` writes it anew; a file
# that has another hash is not installed.
"""


def main() -> None:
    """Write the file."""
    found: dict[str, set[str]] = {}
    for machine in MACHINES:
        for item in resolve(machine):
            metadata, info = item["metadata"], item["download_info"]["archive_info"]
            name = f"{metadata['name'].lower().replace('_', '-')}=={metadata['version']}"
            found.setdefault(name, set()).add(info["hashes"]["sha256"])
    lines = []
    for name, hashes in sorted(found.items()):
        lines += [
            f"{name} \\",
            " \\\n".join(f"    --hash=sha256:{each}" for each in sorted(hashes)),
        ]
    TARGET.write_text(HEAD + "\n".join(lines) + "\n")


def platform_words(machine: str) -> list[str]:
    """Give pip's words for the image's Python on a kind of machine."""
    platforms = (f"manylinux2014_{machine}", f"manylinux_2_28_{machine}")
    words = ["--only-binary", ":all:", "--implementation", "cp", "--python-version", IMAGE_PYTHON]
    return [*words, *(word for platform in platforms for word in ("--platform", platform))]


def resolve(machine: str) -> list[dict[str, Any]]:
    """Ask pip which files it would install."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    requirements = [*extras["operator"], *extras["server"]]
    constraints = str(ROOT / "constraints.txt")
    with tempfile.NamedTemporaryFile() as report, tempfile.TemporaryDirectory() as nowhere:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        pip += ["--target", nowhere, "--report", report.name, "--constraint", constraints]
        subprocess.run([*pip, *platform_words(machine), *requirements], check=True)
        return list(json.load(report)["install"])


def forget_scripts(site: Path) -> None:
    """Remove the console scripts of installed packages, and the record of them.

    They name the path of the Python that installed them, and so would their hashes.
    """
    shutil.rmtree(site / "bin", ignore_errors=True)
    for record in site.glob("*.dist-info/RECORD"):
        lines = record.read_text().splitlines(keepends=True)
        record.write_text("".join(line for line in lines if not line.startswith("../../bin/")))


if __name__ == "__main__":
    main()
