"""A claimed job before and at its end: real tasks, a real termination log, and no controller.

Nothing listens at the controller's address, so what the Pod itself keeps is all there is. Claims,
orders and reports that arrive are shown in tests/cluster.
"""

import pytest

from factotum.pod.claiming import EXIT_UNSTARTED
from support.builders.factfiles import task
from support.http.deliveries import no_threads
from support.http.receivers import Receiver

CLAIM = "0123456789abcdef0123456789abcdef"


def test_a_job_keeps_its_verdict_though_no_controller_answers(run_job):
    code, verdict = run_job(task("a"), task("b", after=["a"]))

    assert code == 0
    assert verdict.succeeded
    assert verdict.claim_id == CLAIM
    assert verdict.states == "SS"


def test_a_failure_is_kept_with_its_code(run_job):
    code, verdict = run_job(task("a", "exit 5"), task("b", after=["a"]))

    assert code == 2
    assert (verdict.kind, verdict.states, verdict.codes) == ("final", "FK", {0: 5})


def test_a_runner_told_to_stop_before_its_first_task_gives_the_claim_back(run_job, tmp_path):
    code, verdict = run_job(task("a", f"touch {tmp_path}/ran"), signals=1)

    assert code == EXIT_UNSTARTED
    assert (verdict.kind, verdict.claim_id) == ("unstarted", CLAIM)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "tasks", [pytest.param([], id="no-task"), pytest.param(["a"], id="a-task")]
)
def test_a_webhook_url_that_is_none_is_never_a_success(run_job, tasks):
    code, verdict = run_job(*map(task, tasks), webhook={"url": "http://"})

    assert code == 3
    assert verdict.kind == "final"
    assert not verdict.succeeded


@pytest.mark.parametrize(
    ("settings", "secret_url", "shown"),
    [
        ({"url": "http://user:p4ss@host:x/services/p4ss"}, "", "http://***@host:x/..."),
        ({"url": "http://ho st/?token=p4ss"}, "", "http://ho st/..."),
        ({}, "https://p4ss:x/p4ss", "***"),
    ],
)
def test_refused_webhook_url_is_told_without_its_secrets(
    settings, secret_url, shown, run_job, tmp_path
):
    code, verdict = run_job(task("a"), webhook=settings, secret_url=secret_url)

    assert code == 3
    assert f'webhook URL "{shown}" is invalid' in (tmp_path / "output").read_text()
    assert "p4ss" not in (tmp_path / "output").read_text()
    assert "p4ss" not in str(verdict)
    assert "p4ss" not in (tmp_path / "termination-log").read_text()


@pytest.mark.parametrize("size", [1, 2**63 - 1])
def test_any_size_of_output_that_the_api_takes_works(size, run_job):
    settings = {"maxStdouterrSize": size, "heartbeatIntervalSeconds": 0}
    with Receiver() as receiver:
        code, _ = run_job(task("a", "echo hello"), webhook={"url": receiver.url, **settings})

    wanted = b'"stdout":"%s"' % b"hello"[max(5 - size, 0) :]
    assert code == 0
    assert len(receiver.requests) == 5
    assert wanted in receiver.requests[-1].body


def test_a_job_runs_where_no_thread_can_be_had_and_says_that_events_are_missing(run_job, tmp_path):
    with Receiver() as receiver, no_threads():
        code, verdict = run_job(task("a"), webhook={"url": receiver.url})

    assert (code, verdict.succeeded) == (0, True)
    assert (tmp_path / "output").read_text().endswith("Warning: some events failed to send\n")
    assert receiver.requests == []
