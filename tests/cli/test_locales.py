"""The locale changes nothing: bytes mean UTF-8 wherever they come from. Real locales, real runs.

The locales are made by `localedef` for the purpose, since no machine has them all.
"""

import shutil
import subprocess

import pytest

from support.builders.factfiles import factfile, task
from support.commands import at_once, factotum_command, run_command

CHARMAPS = (
    "ISO-8859-1",
    "KOI8-R",
    "TIS-620",
    "EUC-JP",
    "SHIFT_JIS",  # has no backslash where others have one
    "GBK",
    "BIG5",  # second bytes may be backslashes
    "EUC-KR",
)

NAME = "čerpadlo 表~数"
JOB = factfile("zdroj", task(NAME, "printf '→ž%s'", "表\\é~"), task("jiná", "exit 3"))
BYTES = "→ž表\\é~"
PASSED = b"\xff\x81\x40\xc3\xa9\x8e\xa1\\~\x80\xfe"
VERDICT = b"v\xff\x81\x40" + "表".encode()
SURROUNDINGS = {
    "C": {"LC_ALL": "C"},
    "POSIX, as ASCII": {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "one that is not there": {"LC_ALL": "xx_YY.ISO-8859-1"},
    "UTF-8 asked for": {"LC_ALL": "C", "PYTHONUTF8": "1", "PYTHONIOENCODING": "ascii"},
    "streams of another encoding": {"LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "utf-16"},
}


@pytest.fixture(scope="session")
def locales(tmp_path_factory):
    """A folder with a locale for each of the table's character sets, and named like them."""
    folder = tmp_path_factory.mktemp("locales")
    program = shutil.which("localedef")
    assert program is not None, "no `localedef`: install the package `locales`"
    (folder / "source").write_text('LC_CTYPE\ncopy "i18n_ctype"\nEND LC_CTYPE\n')
    for charmap in CHARMAPS:
        made = subprocess.run(
            [program, "-c", "-i", folder / "source", "-f", charmap, folder / charmap],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (folder / charmap / "LC_CTYPE").exists(), made.stderr
    return folder


@pytest.fixture(params=[*SURROUNDINGS, *CHARMAPS])
def run(request, tmp_path):
    """Run the command with arguments in UTF-8 and one of the locales."""
    environ = SURROUNDINGS.get(request.param)
    if environ is None:
        folder = request.getfixturevalue("locales")
        environ = {"LOCPATH": str(folder), "LC_ALL": request.param}

    def start(*args: str | bytes):
        words = [each.encode() if isinstance(each, str) else each for each in args]
        return run_command(
            [factotum_command().encode(), *words, b"--no-colour"], cwd=tmp_path, environ=environ
        )

    return start


@pytest.fixture
def job(tmp_path):
    """The path of a factfile whose name says something in no locale but UTF-8."""
    path = tmp_path / "záznam 表\\数~.factfile"
    path.write_bytes(JOB.encode())
    return path.name


def test_factfile_its_name_and_its_tasks_output_are_utf_8(run, job):
    done = run("run", job, "--start", NAME)

    out = f"[{NAME}] {BYTES}\n1/1 tasks run in 0.0s\n"
    assert (done.exit, at_once(done.out)) == (0, out)
    assert f"Task '{NAME}': succeeded" in done.err


def test_tags_and_variables_are_utf_8(run, tmp_path):
    (tmp_path / "job").write_text(factfile("{{x}} {{tag:místo}}", task("a")))

    done = run(
        "run", "job", "--env", '{"x":"žluť\\\\表"}', "--tag", "místo, 数~", "--verdict", "výsled表"
    )

    assert done.exit == 0
    assert '"jobName": "žluť\\\\表 数~"' in (tmp_path / "výsled表").read_text("utf-8")


def test_written_and_read_files_have_the_names_that_were_given(run, job, tmp_path):
    drawn = run("dot", job, "--output", "obrázek 表\\~")
    failed = run("run", job, "--verdict", VERDICT)
    resumed = run("run", job, "--resume", VERDICT)
    absent = run("run", "nič表\\~")

    assert (drawn.exit, failed.exit, resumed.exit) == (0, 2, 2)
    assert NAME in (tmp_path / "obrázek 表\\~").read_text("utf-8")
    assert "1/2 tasks run" not in failed.out
    assert f"[{NAME}]" not in resumed.out
    assert absent.out.startswith("Couldn't open 'nič表\\~' for reading: No such file")


def test_bytes_that_are_no_text_come_out_as_they_went_in(run):
    done = run("run", b"\xe9\x81\x40\xff")

    assert done.exit == 1
    assert done.stdout.startswith(b"Couldn't open '\xe9\x81\x40\xff' for reading: No such file")


def test_json_is_utf_8(run, job):
    done = run("validate", job, "--output-format", "json")

    assert f'"factfile": "{job}"'.replace("\\", "\\\\") in done.out


@pytest.mark.parametrize("more", [(), ("--no-colour",)])
def test_tasks_get_the_very_bytes_of_the_environment(locales, tmp_path, more):
    script = b"od -An -tx1 /proc/$$/environ | tr -d ' \\n'"
    (tmp_path / "job").write_bytes(factfile("x", task("a", script.decode())).encode())

    for name in CHARMAPS:
        done = subprocess.run(
            [factotum_command(), "run", "job", *more],
            cwd=tmp_path,
            env={
                b"PATH": b"/usr/bin:/bin",
                b"LOCPATH": str(locales).encode(),
                b"LC_ALL": name.encode(),
                b"ODD": PASSED,
                b"N\xc3\xa1\xff": b"x",
            },
            capture_output=True,
            check=True,
        )

        assert (b"ODD=" + PASSED).hex().encode() in done.stdout, name
        assert (b"N\xc3\xa1\xff=x").hex().encode() in done.stdout, name
