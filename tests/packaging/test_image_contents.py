"""What the runner's image is made of, without building one: the gathered folder, and one start.

Real: the build program's own gathering, and a bare interpreter on what it gathered.
"""

import importlib.util
import subprocess
import sys

import pytest

from support.builders.factfiles import CHAIN
from support.cluster.clusters import ROOT

PROGRAM = ROOT / "hack" / "images" / "build.py"
PACKAGE = ROOT / "operator" / "factotum"


@pytest.fixture(scope="module")
def build():
    spec = importlib.util.spec_from_file_location("image_build", PROGRAM)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def names_in(folder):
    return {path.name for path in folder.iterdir() if path.name != "__pycache__"}


def test_the_runner_gets_what_is_named_and_nothing_else(build, tmp_path):
    build.gather_runner(tmp_path)

    packages = {"cli", "core", "events", "pod", "runner"}
    assert names_in(tmp_path / "factotum") == packages | {"__init__.py", "entry.py"}
    assert not list(tmp_path.rglob("*.pyc"))
    for package in packages:
        ours = {p.relative_to(PACKAGE) for p in (PACKAGE / package).rglob("*.py")}
        gathered = {p.relative_to(tmp_path / "factotum") for p in tmp_path.rglob("*.py")}
        assert ours <= gathered


def test_a_new_package_is_not_in_the_image_until_it_is_named(build, tmp_path, monkeypatch):
    source = tmp_path / "source"
    for name in ("core", "novelty"):
        (source / name).mkdir(parents=True)
        (source / name / "__init__.py").write_text("")
    (source / "loose.py").write_text("")
    monkeypatch.setattr(build, "PACKAGE", source)

    build.gather_runner(tmp_path / "context")

    assert names_in(tmp_path / "context" / "factotum") == {"core"}


def test_the_operator_gets_the_whole_package(build, tmp_path):
    build.copy_package(tmp_path / "factotum")

    assert names_in(tmp_path / "factotum") == names_in(PACKAGE)


@pytest.mark.parametrize("argv", [["--version"], ["run", "job"]])
def test_what_is_gathered_runs_without_anything_else(build, tmp_path, argv):
    build.gather_runner(tmp_path)
    (tmp_path / "job").write_text(CHAIN)
    code = f"import sys; sys.path[:0] = [{str(tmp_path)!r}]; sys.argv[1:] = {argv!r}\n"
    code += "from factotum.entry import main; sys.exit(main())"

    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_the_pods_side_is_whole_without_the_operators(build, tmp_path):
    build.gather_runner(tmp_path)
    modules = [
        ".".join(path.relative_to(tmp_path).with_suffix("").parts)
        for path in sorted((tmp_path / "factotum").rglob("*.py"))
        if path.name != "__init__.py"
    ]
    code = f"import sys, importlib; sys.path[:0] = [{str(tmp_path)!r}]\n"
    code += f"for name in {modules!r}: importlib.import_module(name)"

    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
