"""What is in the wheel, and that it works in an environment of its own without any dependency.

Real: hatchling builds, venv and pip install, the installed command runs an example.
"""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from support.cluster.clusters import ROOT


@pytest.fixture(scope="session")
def wheel(tmp_path_factory) -> Path:
    """The project's wheel, built from this tree."""
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    subprocess.run([*build, str(ROOT)], check=True, capture_output=True)
    return next(out.glob("*.whl"))


def test_the_wheel_contains_the_package_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()

    assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == {"factotum"}
    assert any(name.endswith("licenses/LICENSE") for name in names)
    sources = {
        str(path.relative_to(ROOT / "operator"))
        for path in (ROOT / "operator" / "factotum").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert {name for name in names if ".dist-info/" not in name} == sources


def test_the_installed_command_runs_an_example_without_any_dependency(wheel, tmp_path):
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    pip = [sys.executable, "-m", "pip", "--python", str(venv / "bin/python")]
    subprocess.run([*pip, "install", "--quiet", "--no-index", str(wheel)], check=True)

    done = subprocess.run(
        [str(venv / "bin/factotum"), "run", str(ROOT / "examples/echo.factfile")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "3/3 tasks run" in done.stdout
