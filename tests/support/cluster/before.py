"""The chart and the images of the commit after which the chart was worked over, to upgrade from.

The chart lies in tests/chart/before, packed, since a clone may hold no history. The images are
built of that commit, under a version of their own, so that no tag of today's changes.
"""

import re
import subprocess
import sys
from pathlib import Path

from support.cluster.clusters import ROOT

COMMIT = "d26108b"
VERSION = "0.0.9"
CHART = ROOT / "tests" / "chart" / "before" / "factotum-operator-0.1.0.tgz"
"""What `git archive --prefix=factotum-operator/ COMMIT:charts/factotum-operator` gives."""
_NAMES = ("operator", "runner")


def images() -> list[Path]:
    """Build the images, if they are not there yet, and return their archives."""
    folder = ROOT / "build" / "before"
    archives = [folder / "build" / "images" / f"{name}.tar" for name in _NAMES]
    if not all(path.exists() for path in archives):
        folder.mkdir(parents=True, exist_ok=True)
        words = ["git", "-C", str(ROOT), "archive", "--format=tar", COMMIT]
        tree = subprocess.run(words, capture_output=True, check=False)
        if tree.returncode:
            raise AssertionError(
                f"no commit {COMMIT} here, of which the older images are built:"
                f" git fetch --unshallow ({tree.stderr.decode().strip()})"
            )
        subprocess.run(["tar", "-x", "-C", str(folder)], input=tree.stdout, check=True)
        version = folder / "operator" / "factotum" / "__init__.py"
        text = re.sub(r'__version__ = ".+"', f'__version__ = "{VERSION}"', version.read_text())
        version.write_text(text)
        program = str(folder / "hack" / "images" / "build.py")
        subprocess.run([sys.executable, program, *_NAMES], check=True, stdout=subprocess.DEVNULL)
    return archives
