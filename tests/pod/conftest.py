"""A claimed job that runs in this process: real tasks, a real termination log, no controller."""

import os

import pytest

from factotum.core.wire import termination
from factotum.core.wire.orders import WorkOrder
from factotum.pod.claiming import Work
from factotum.pod.controller_link import ControllerLink
from factotum.pod.job import Job
from factotum.pod.surroundings import Surroundings
from factotum.pod.termination_log import TerminationLog
from factotum.runner.console import Console
from factotum.runner.signals import ShutdownSignals
from support.builders.factfiles import factfile
from support.http.certificates import loopback

CLAIM = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def run_job(tmp_path):
    """Run a factfile as a claimed job and return exit code and verdict."""
    token = tmp_path / "token"
    token.write_text("none")
    log = tmp_path / "termination-log"
    surroundings = Surroundings(
        {
            "PATH": os.environ["PATH"],
            "FACTOTUM_OPERATOR_URL": "https://127.0.0.1:9",
            "FACTOTUM_OPERATOR_CA": loopback().trusted,
            "FACTOTUM_JOB_UID": "uid",
            "FACTOTUM_ATTEMPT": "1",
            "FACTOTUM_LAUNCH": "1",
            "FACTOTUM_TOKEN_FILE": str(token),
        }
    )

    def run(*tasks, signals=0, secret_url="", line=None, **body):
        surroundings.webhook_url = secret_url
        shutdown = ShutdownSignals()
        shutdown.count = signals
        work = Work(
            CLAIM,
            WorkOrder({"factfile": factfile("job", *tasks), "factfileHash": "f" * 64, **body}),
        )
        with (tmp_path / "output").open("wb") as output:
            console = Console(colour=False, out_fd=output.fileno(), err_fd=output.fileno())
            job = Job(surroundings, work, console)
            link = ControllerLink(surroundings) if line is None else line
            code = job.run(link, TerminationLog(str(log)), shutdown)
            console.flush()  # as `work` does in the end
        return code, termination.decode(log.read_text())

    return run
