"""A job server whose PYTHONPATH, meant for tasks, has modules named as Python's own.

Real: both programs as they are installed, the processes that they start, a job.
"""

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.commands import clean_environ
from support.consul.process import free_ports
from support.server.http import ask
from support.server.running import factfile

PROGRAMS = Path(sys.executable).parent


@pytest.fixture
def environ(tmp_path):
    modules = tmp_path / "modules"
    modules.mkdir()
    for name in ("re", "json", "select", "socket", "threading", "subprocess"):
        (modules / f"{name}.py").write_text("raise SystemExit('a module of the tasks')")
    return clean_environ(tmp_path, {"PYTHONPATH": str(modules)})


def test_the_original_s_name_starts(tmp_path, environ):
    command = [PROGRAMS / "factotum-server", "--version"]

    assert subprocess.run(command, cwd=tmp_path, env=environ, check=False).returncode == 0


def test_a_job_runs_and_its_task_sees_the_variable(tmp_path, environ):
    seen = tmp_path / "seen"
    seen.touch()
    (tmp_path / "job").write_text(json.dumps(factfile('echo "$PYTHONPATH" > seen')))
    port = free_ports(1)[0]
    command = [PROGRAMS / "factotum", "server", f"--port={port}"]
    server = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=subprocess.DEVNULL)
    try:
        _submit(port, tmp_path / "job")
        deadline = time.monotonic() + 20
        while not seen.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)
    finally:
        server.terminate()
        server.wait(20)

    assert seen.read_text().strip() == environ["PYTHONPATH"]


def _submit(port, path):
    deadline = time.monotonic() + 20
    body = json.dumps({"factfilePath": str(path)}).encode()
    headers = {"Content-Type": "application/json"}
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            assert ask(port, "POST", "/v1/jobs", headers, body).status == 201
            return
        time.sleep(0.05)
    raise AssertionError("the server does not listen")
