"""The cluster tool as its users run it, on a state folder of the tests' own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.commands import own_effects

HACK = Path(__file__).resolve().parents[2] / "hack"
for folder in ("local-cluster", "test-node"):
    sys.path.insert(0, str(HACK / folder))


class Tool:
    """Runs hack/local-cluster/cluster; its clusters live below one folder."""

    def __init__(self, state_home: Path) -> None:
        self.environment = os.environ | {"XDG_STATE_HOME": str(state_home)}
        self.clusters = state_home / "factotum-operator" / "clusters"

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*own_effects(), HACK / "local-cluster" / "cluster", *words],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *words: str) -> tuple[int, str]:
        process = self.start(*words)
        output, _ = process.communicate(timeout=1200)
        return process.returncode, output

    def ok(self, *words: str) -> str:
        code, output = self.run(*words)
        assert code == 0, output
        return output

    def state(self, name: str) -> Path:
        return self.clusters / name

    def processes(self) -> list[str]:
        """List the command lines of living processes of these clusters."""
        wanted = f"FACTOTUM_LOCAL_CLUSTER={self.clusters}/".encode()
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdecimal() and wanted in (entry / "environ").read_bytes():
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:  # gone meanwhile, or another user's
                continue
        return found


@pytest.fixture(scope="session")
def built_programs():
    """Have all programs in the cache, so that no test measures a compiler."""
    subprocess.run([HACK / "local-cluster" / "cluster", "build"], check=True, timeout=3600)


@pytest.fixture
def tool(tmp_path, built_programs):
    tool = Tool(tmp_path / "state")
    yield tool
    for folder in tool.clusters.glob("*"):
        tool.run("down", "--name", folder.name)
