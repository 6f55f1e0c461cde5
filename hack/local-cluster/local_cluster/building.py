"""Build the programs from pinned Go modules into the cache, once for all clusters.

Programs of one module are built by one go command: they share most packages, and the linker
of one runs beside the compiler of the next.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from local_cluster import catalogue, folders, golang, locking
from local_cluster.catalogue import Program
from local_cluster.errors import ClusterError

_PROGRESS_SECONDS = 15.0


def ensure(names: Iterable[str], marker: Mapping[str, str] | None = None) -> dict[str, Path]:
    """Give the path of each named program, building what the cache does not hold.

    `marker` goes into the compiler's environment, so that `down` finds it too.
    """
    programs = [catalogue.program(name) for name in dict.fromkeys(names)]
    if any(not _path(program).exists() for program in programs):
        lock = folders.programs() / ".lock"
        with locking.locked(lock, "waiting for another run that builds programs"):
            for module in dict.fromkeys(program.module for program in programs):
                missing = [p for p in programs if p.module == module and not _path(p).exists()]
                if missing:
                    _build(module, missing, marker or {})
    for program in programs:
        _link(program)
    return {program.name: _path(program) for program in programs}


def source(name: str) -> Path:
    """Give the folder with a module's own files, fetching them if need be."""
    requirement = catalogue.SOURCES[name]
    go = golang.find(catalogue.go_version(name))
    done = subprocess.run(
        [go, "mod", "download", "-json", requirement],
        cwd=folders.MODULES / name,
        env=os.environ | {"GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "-mod=readonly"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ClusterError(f"{requirement} cannot be fetched: {done.stdout}{done.stderr}")
    return Path(json.loads(done.stdout)["Dir"])


def _path(program: Program) -> Path:
    return folders.programs() / program.file_name


def _link(program: Program) -> None:
    # The plain name (kubectl) beside the versioned one, for PATH and for people.
    plain = folders.programs() / program.name
    if plain.is_symlink() and plain.readlink() == Path(program.file_name):
        return
    fresh = plain.with_name(f".{program.name}.{os.getpid()}")
    fresh.symlink_to(program.file_name)
    fresh.replace(plain)


def _build(module: str, programs: list[Program], marker: Mapping[str, str]) -> None:
    go = golang.find(catalogue.go_version(module))
    label = ", ".join(f"{program.name} {program.version}" for program in programs)
    with tempfile.TemporaryDirectory(dir=folders.programs(), prefix=".build-") as scratch:
        output = Path(scratch) / "out"
        output.mkdir()
        command = [
            str(go),
            "build",
            "-v",  # one line per package: the progress
            "-trimpath",
            f"-ldflags={catalogue.linker_flags(module)}",
            f"-o={output}/",
            *(program.package for program in programs),
        ]
        more = dict(marker) | catalogue.build_environment(module)
        run_go(command, cwd=folders.MODULES / module, label=label, marker=more)
        for program in programs:
            (output / _go_name(program.package)).replace(_path(program))


def _go_name(package: str) -> str:
    # go names a program by its package's last element that is no version: "etcd/server/v3"
    # becomes "server".
    return re.sub(r"/v\d+$", "", package).rsplit("/", 1)[-1]


def run_go(command: list[str], *, cwd: Path, label: str, marker: Mapping[str, str]) -> None:
    """Run a go build with progress on the terminal; its output only if it fails."""
    environment = os.environ | {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    # The machine's own flags must not decide what we build.
    environment |= {"GOFLAGS": "-mod=readonly -buildvcs=false"} | dict(marker)
    started = time.monotonic()
    print(f"building {label} (once; kept in {folders.programs()})", file=sys.stderr, flush=True)
    go = subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    lines: list[str] = []
    reader = threading.Thread(target=lambda: lines.extend(go.stdout or ()), daemon=True)
    reader.start()
    try:
        _show_progress(go, lines, started)
    finally:
        if go.poll() is None:
            go.kill()
            go.wait()
    reader.join()
    if go.returncode != 0:
        tail = "".join(lines[-20:])
        raise ClusterError(f"building {label} failed; go's last lines:\n{tail}")
    print(f"built {label} in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def _show_progress(go: subprocess.Popen[str], lines: list[str], started: float) -> None:
    live = sys.stderr.isatty()
    step = 0.5 if live else _PROGRESS_SECONDS
    width = shutil.get_terminal_size().columns - 1
    while True:
        try:
            go.wait(step)
        except subprocess.TimeoutExpired:
            text = f"  {time.monotonic() - started:.0f} s, {len(lines)} packages"
            text += f", now {lines[-1].strip()}" if lines else ""
            print(
                f"\r{text[:width]:{width}}" if live else text,
                end="" if live else "\n",
                file=sys.stderr,
                flush=True,
            )
        else:
            break
    if live:
        print(f"\r{'':{width}}\r", end="", file=sys.stderr, flush=True)
