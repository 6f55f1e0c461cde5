"""The runner as one folder, for images that are not ours: whether all it needs is in it.

Real: the folder as it is in the archive of `make images`, run by this machine's shell without
anything else of this machine. That it runs where there is no C library is shown on a real kubelet.
"""

import ast
import json
import os
import shutil
import subprocess
import sys
import tarfile
from datetime import UTC, datetime

import pytest

from factotum.controller.tls import authority
from factotum.controller.tls.authority import Lifetimes
from support import golden
from support.builders.factfiles import CHAIN
from support.builders.manifests import make_factfile, make_task
from support.cluster.clusters import ROOT
from support.commands import clean_environ, run_command
from support.http import certificates
from support.http.receivers import Receiver

pytestmark = pytest.mark.images

ARCHIVE = ROOT / "build" / "images" / "runner.tar"
PACKAGE = ROOT / "operator" / "factotum"
RECORDS = golden.load_records(ROOT / "tests" / "conformance" / "golden" / "cli.jsonl")
MEGABYTE = 1_000_000
TROUBLE = {
    "LD_LIBRARY_PATH": "/nowhere",
    "GLIBC_TUNABLES": "glibc.malloc.check=nonsense",
    "PYTHONHOME": "/nowhere",
    "PYTHONPATH": "/nowhere",
    "OPENSSL_CONF": "/nowhere/openssl.cnf",
    "OPENSSL_MODULES": "/nowhere",
    "SSLKEYLOGFILE": "/nowhere/keys",
    "LOCPATH": "/nowhere",
    "LC_ALL": "xx_YY",
    "LANG": "xx_YY",
}
"""What an image may say to its own programs."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder, taken out of the image."""
    target = tmp_path_factory.mktemp("image")
    # A test that runs alone finds what the tree says, too.
    program = str(ROOT / "hack" / "images" / "build.py")
    subprocess.run([sys.executable, program, "runner"], check=True, capture_output=True)
    with tarfile.open(ARCHIVE) as archive:
        index = json.load(archive.extractfile("index.json"))
        manifest = json.load(archive.extractfile(blob(index["manifests"][0])))
        for layer in manifest["layers"][1:]:
            with tarfile.open(fileobj=archive.extractfile(blob(layer))) as content:
                ours = [m for m in content if m.name.startswith("opt/factotum/portable")]
                content.extractall(target, ours, filter="tar")
    return target / "opt" / "factotum" / "portable"


def blob(descriptor):
    return "blobs/" + descriptor["digest"].replace(":", "/")


def python(folder, code):
    """Run code with the folder's own Python, where there is no other file at all."""
    place = f"/{folder.name}"
    command = [f"{place}/lib/loader", "--library-path", f"{place}/lib", f"{place}/bin/python3"]
    done = subprocess.run(
        [*command, "-IS", "-c", f"import sys; sys.path.insert(0, '{place}/app')\n{code}"],
        capture_output=True,
        text=True,
        env={},
        check=False,
        preexec_fn=lambda: os.chroot(folder.parent),
    )
    assert done.returncode == 0, (done.returncode, done.stderr)
    return done.stdout


def imported_names():
    """Name every module that the runner's package imports anywhere, late imports included."""
    names = set()
    for part in ("entry.py", "cli", "core", "events", "pod", "runner"):
        path = PACKAGE / part
        for source in [path] if path.is_file() else path.rglob("*.py"):
            parts = source.relative_to(PACKAGE.parent).with_suffix("").parts
            names.add(".".join(parts).removesuffix(".__init__"))
            for node in ast.walk(ast.parse(source.read_text())):
                if isinstance(node, ast.Import):
                    names |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    names.add(node.module)
    # The entry point knows of another front door, which this image does not have.
    return sorted(name for name in names if not name.startswith("factotum.gateway"))


def test_it_is_small(folder):
    size = sum(p.stat().st_size for p in folder.rglob("*") if not p.is_symlink()) / MEGABYTE
    print(
        f"the runner as a folder: {size:.1f} MB, {len(list(folder.rglob('*')))} files and folders"
    )

    assert size < 40


def test_every_module_that_the_runner_imports_is_in_it(folder):
    names = imported_names()

    told = python(folder, f"for name in {names}: print(__import__(name))")

    assert len(names) > 100
    assert len(told.splitlines()) == len(names)


def test_threads_that_are_left_over_end_with_it(folder):
    # Were they told to end, the C library would load another one, which the image may not have.
    code = (
        "import _thread, sys, time\n"
        "from factotum import entry\n"
        "def wake():\n"
        "    while True: time.sleep(0.0001)\n"
        "def leave_threads():\n"
        "    for _ in range(20): _thread.start_new_thread(wake, ())\n"
        "    time.sleep(0.02)\n"
        "    return 0\n"
        "entry._main = leave_threads\n"
        "sys.exit(entry.main())"
    )

    for _ in range(30):
        python(folder, code)


# Without a PATH there is no shell to start it with.
@pytest.mark.parametrize(
    "record",
    [r for r in RECORDS[::9] if "PATH" not in (r.get("environ") or {})],
    ids=lambda record: record["id"],
)
def test_it_behaves_as_the_original_was_recorded(folder, record, tmp_path):
    seen = golden.replay(record, ["sh", str(folder / "launch")], tmp_path)

    found = golden.differences(record, seen)

    assert not found or golden.is_accepted(record, seen), "\n".join(found)


@pytest.fixture
def secure():
    """A receiver that speaks TLS, and the authority that vouches for it."""
    material = authority.make(("127.0.0.1",), datetime.now(UTC), Lifetimes())
    with Receiver(tls=certificates.serving(material)) as receiver:
        yield receiver, material.trusted


def send(folder, url, work, **environ):
    """Run a factfile with a webhook; say whether all events were taken."""
    (work / "job").write_text(CHAIN)
    quick = ("--webhook-backoff", "0.05")
    command = ["sh", str(folder / "launch"), "run", "job", "--webhook", url, *quick]
    run = run_command(command, cwd=work, environ=environ)
    assert (run.exit, run.err.count("Traceback")) == (0, 0)
    return "some events failed" not in run.out


def test_events_go_to_whom_the_authorities_of_the_runners_image_vouch_for(folder, secure, tmp_path):
    receiver, trusted = secure
    # Wherever it lies: nothing in it knows its own path.
    moved = tmp_path / "else where"
    shutil.copytree(folder, moved)
    (moved / "etc" / "authorities.pem").write_text(trusted)

    assert send(moved, receiver.url, tmp_path, **TROUBLE)
    assert not send(folder, receiver.url, tmp_path, **TROUBLE)
    assert (folder / "etc" / "authorities.pem").read_text().count("BEGIN CERTIFICATE") > 50


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_the_image_may_name_other_authorities(folder, secure, tmp_path, name):
    receiver, trusted = secure
    place = tmp_path / "trusted"
    place.mkdir()
    file = place / "authority.pem"
    file.write_text(trusted)
    subprocess.run(["openssl", "rehash", place], check=True)

    assert send(folder, receiver.url, tmp_path, **{name: str(place if "DIR" in name else file)})


def test_tasks_see_the_environment_as_it_was(folder, tmp_path):
    wanted = TROUBLE | {
        # Names like those by which the others are put aside.
        "FACTOTUM_ASIDE_PATH": "/nowhere",
        "EMPTY": "",
        "LD_BIND_NOW": "",
        "LC_CTYPE": "C",
        "QUOTED": 'it\'s "$x" `y`',
    }
    task = make_task(command="env", arguments=[])
    (tmp_path / "job").write_text(json.dumps(make_factfile(task)))

    run = run_command(["sh", str(folder / "launch"), "run", "job"], cwd=tmp_path, environ=wanted)

    seen = dict(line.removeprefix("[a] ").split("=", 1) for line in run.out.splitlines()[:-1])
    by_its_shell = {"PWD", "OLDPWD", "SHLVL", "_"}
    assert {k: v for k, v in seen.items() if k not in by_its_shell} == clean_environ(
        tmp_path, wanted
    )
