"""Requests made from the OpenAPI document, hostile ones among them: no 5xx, nothing undescribed.

Real: the server as a process, asked over HTTP by schemathesis, which makes requests that
fit the document and such that do not, and follows its links from answer to answer.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from support.cluster.acceptance import is_full, report
from support.server.forking import Zygote
from support.server.rest import Rest
from support.server.running import Server

CASES = r"(\d[\d,]*) generated"
STREAMS = ("watch_jobs", "watch_job", "watch_log")
"""They end with their job, or never: tests/gateway/test_streams.py has them."""
JUDGEMENTS = ("positive_data_acceptance",)
"""A factfile may fit the document and still be none that runs: 422 is right then."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    options = ("--rate=1000000", "--max-jobs=1000000")
    with Zygote() as zygote, Server(zygote, tmp_path_factory.mktemp("server"), *options) as server:
        yield server


@pytest.mark.timeout(1800)
def test_every_answer_is_one_that_is_described(server):
    examples = 300 if is_full() else 3
    phases = "examples,coverage,fuzzing,stateful" if is_full() else "examples,fuzzing,stateful"
    command = [
        str(Path(sys.executable).with_name("schemathesis")),
        "run",
        f"http://127.0.0.1:{server.port}/v1/openapi.json",
        "--no-color",
        "--seed=1",
        f"--max-examples={examples}",
        f"--phases={phases}",
        "--checks=all",
        "--request-timeout=20",
        "--generation-database=none",
        *(f"--exclude-checks={name}" for name in JUDGEMENTS),
        *(f"--exclude-operation-id={name}" for name in STREAMS),
    ]

    done = subprocess.run(
        command, cwd=server.folder, capture_output=True, text=True, check=False, timeout=1700
    )

    assert done.returncode == 0, done.stdout[-8000:] + done.stderr
    found = re.search(CASES, done.stdout)
    assert found is not None, done.stdout[-3000:]
    report("openapi", cases=int(found[1].replace(",", "")))
    figures = Rest(server).get("/metrics").body.decode()
    assert not re.findall(r'factotum_server_requests_total\{code="5\d\d"', figures)
