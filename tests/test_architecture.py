"""The shape of the code base: what may import what, how large things are, who maps errors.

The layer contracts themselves are import-linter's and run with the other
checks of ``make lint``. Here is what it cannot see: the source root beside
the standard library's ``operator``, start-up imports, sizes, error mapping.
"""

import ast
import functools
import importlib
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from factotum.cli.main import main
from factotum.core import errors

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "operator"
MODULES = sorted(SOURCE.rglob("*.py"))
PROGRAMS = [path for path in (ROOT / "hack").rglob("*.py") if ".venv" not in path.parts]
TESTS = sorted((ROOT / "tests").rglob("*.py"))

MAX_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_FILES = 12
BAD_NAMES = {"util", "utils", "helper", "helpers", "manager", "managers", "common", "misc"}


def name_of(path):
    return str(path.relative_to(ROOT))


class Module(NamedTuple):
    """What is looked at of a module.

    Attributes:
        functions: names, and how many lines each has.
        calls: names of functions that it calls.
        texts: every text, also within f-strings; docstrings are texts too.
    """

    docstring: str | None
    lines: int
    functions: list[tuple[str, int]]
    calls: set[str]
    texts: set[str]


@functools.cache
def read(path):
    """Read a module once for all checks; its tree would be large to keep."""
    text = path.read_text()
    tree = ast.parse(text)
    module = Module(ast.get_docstring(tree), len(text.splitlines()), [], set(), set())
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            module.functions.append((node.name, node.end_lineno - node.lineno + 1))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            module.calls.add(node.func.id)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            module.texts.add(node.value)
    return module


# --- the source root ----------------------------------------------------------------


def test_the_source_root_is_no_package():
    assert not (SOURCE / "__init__.py").exists()


def test_the_standard_librarys_operator_wins():
    code = "import operator, factotum; print(operator.itemgetter(0)('a'), operator.__file__)"

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.startswith("a ")
    assert str(ROOT) not in done.stdout


# --- start-up -----------------------------------------------------------------------

LEAN = {"__future__", "_collections_abc", "_stat", "genericpath", "os", "os.path", "posixpath"}
LEAN |= {"stat", "_json", "_socket", "_heapq", "select", "zlib", "collections", "time", "_ssl"}
"""What a bare interpreter has anyway, and modules written in C."""


def imported(code, *argv):
    """Return the modules that some code imports into a bare interpreter."""
    program = (
        "import sys\n"
        f"sys.path.insert(0, {str(SOURCE)!r})\n"
        f"sys.argv = {['factotum', *argv]!r}\n"
        "before = set(sys.modules)\n"
        f"{code}\n"
        "print('modules:', *(set(sys.modules) - before), sep=' ')\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    names = done.stdout.rpartition("modules: ")[2].split()
    return {name for name in names if name.partition(".")[0] != "factotum"}


@pytest.mark.parametrize(
    ("code", "argv"),
    [
        pytest.param("import factotum.entry; factotum.entry.main()", ["--version"], id="version"),
        pytest.param(
            "import factotum.entry; factotum.entry.main()",
            ["validate", "examples/echo.factfile"],
            id="validate",
        ),
        pytest.param("import factotum.entry; import factotum.cli.commands.run", [], id="run"),
        pytest.param("import factotum.pod.work", [], id="work"),
    ],
)
def test_starting_up_imports_only_what_it_needs(code, argv):
    assert imported(code, *argv) <= LEAN


def test_the_list_of_imports_would_tell_a_heavy_one():
    assert "argparse" in imported("import argparse")


# --- sizes and names ------------------------------------------------------------------


def test_a_module_says_why_it_exists():
    modules = [path for path in [*MODULES, *PROGRAMS] if path.read_text().strip()]

    assert [name_of(path) for path in [*modules, *TESTS] if not read(path).docstring] == []


def test_a_module_and_its_functions_are_small():
    small = {name_of(path): read(path) for path in [*MODULES, *PROGRAMS]}
    functions = [(m, f, n) for m, module in small.items() for f, n in module.functions]

    assert [name for name, module in small.items() if module.lines >= MAX_LINES] == []
    assert [each for each in functions if each[-1] >= MAX_FUNCTION_LINES] == []


FILES = [path for path in (SOURCE / "factotum").rglob("*") if path.is_file()]
KEPT = [path for path in FILES if path.suffix != ".pyc"]


def test_a_folder_is_taken_in_at_a_glance():
    sizes = Counter(name_of(path.parent) for path in KEPT)

    assert {folder: size for folder, size in sizes.items() if size > MAX_FILES} == {}


def test_a_file_of_another_kind_is_short_too():
    others = sorted(set(KEPT) - set(MODULES))

    assert [name_of(p) for p in others if len(p.read_text().splitlines()) >= MAX_LINES] == []


def test_a_module_is_named_after_what_it_does():
    names = [name_of(path) for path in [*MODULES, *PROGRAMS, *TESTS]]

    assert [n for n in names if set(Path(n).with_suffix("").parts) & BAD_NAMES] == []


def patches(text):
    return "mock" + ".patch" in text or 'setattr("factotum' in text.replace("'", '"')


def test_a_test_patches_nothing_of_ours():
    others = [path for path in TESTS if path != Path(__file__)]

    assert [name_of(path) for path in others if patches(path.read_text())] == []


def test_only_the_console_and_main_talk_to_people():
    assert [name_of(path) for path in MODULES if "print" in read(path).calls] == []


# --- one place for each word -----------------------------------------------------------


STATE_WORDS = {"QUEUED", "WORKING", "DONE", "WAITING", "RUNNING"}
STATE_WORDS |= {"SUCCEEDED", "SUCCEEDED_NO_OP", "FAILED", "SKIPPED"}
FORMATS = ("core/words", "core/wire", "persistence", "events")
"""Where a state's spelling is part of a format that others read."""


def place_of(path):
    return path.relative_to(SOURCE / "factotum").as_posix()


def test_a_state_is_spelled_by_the_words_and_by_formats_alone():
    spelling = [place_of(path) for path in MODULES if STATE_WORDS & read(path).texts]

    assert [place for place in spelling if not place.startswith(FORMATS)] == []


def test_a_path_of_the_kubernetes_api_is_built_in_one_place():
    starts = ("/api/", "/apis/")
    building = [p for p in MODULES if any(text.startswith(starts) for text in read(p).texts)]

    assert [place_of(path) for path in building] == ["kube/paths.py"]


# --- errors -------------------------------------------------------------------------

EXIT_CODES = {
    errors.FactfileError: (["run", "{bad}"], 1),
    errors.EnvironmentFormatError: (["run", "{good}", "--env", "{"], 3),
    errors.StartError: (["run", "{good}", "--start", "nothing"], 3),
    errors.VerdictError: (["run", "{good}", "--resume", "no verdict"], 3),
}
"""Every family of errors, a command that meets it, and its exit code."""


def test_every_error_belongs_to_a_family_that_has_an_exit_code():
    families = errors.FactotumError.__subclasses__()
    of_factfiles = {family for family in families if family.__module__ == errors.__name__}

    assert of_factfiles == set(EXIT_CODES)


@pytest.mark.parametrize("family", EXIT_CODES, ids=lambda family: family.__name__)
def test_every_family_of_errors_ends_the_command_with_its_code(
    family, tmp_path, monkeypatch, capfd
):
    (tmp_path / "bad").write_text("{")
    (tmp_path / "no verdict").write_text("{}")
    monkeypatch.chdir(tmp_path)
    argv, code = EXIT_CODES[family]
    good = ROOT / "examples" / "echo.factfile"

    result = main([part.format(bad="bad", good=good) if part != "{" else "{" for part in argv])

    assert result == code
    assert capfd.readouterr().out.strip()


def all_classes():
    """Import every module of ours and return every class that one of them defines."""
    for path in MODULES:
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        module = importlib.import_module(name)
        yield from (
            c for c in vars(module).values() if isinstance(c, type) and c.__module__ == name
        )


def test_every_error_of_ours_has_one_root():
    raised = [each for each in all_classes() if issubclass(each, BaseException)]

    assert len(raised) > 30
    assert [each for each in raised if not issubclass(each, errors.FactotumError)] == []
