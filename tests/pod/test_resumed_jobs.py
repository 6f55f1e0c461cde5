"""Attempts that keep results of an earlier one: real tasks, a real termination log, a webhook."""

import json

import pytest

from factotum.core.factfile.document import Factfile
from factotum.core.run.execution import Execution
from factotum.core.run.results import KeptResult
from factotum.core.wire import termination
from factotum.pod.progress import Progress
from support.builders.factfiles import factfile, task
from support.http.receivers import Receiver

KEPT = {"codes": {"0": 0}, "started": {"0": 1_772_366_400_123}, "seconds": {"0": 1.5}}


def kept(states, **fields):
    return {"states": states} | KEPT | fields


def test_only_what_did_not_end_well_runs(run_job, tmp_path):
    tasks = [task(n, f"echo {n} >> {tmp_path}/ran", after=a) for n, a in (("a", []), ("b", ["a"]))]

    code, verdict = run_job(*tasks, kept=kept("SW"))

    assert code == 0
    assert (tmp_path / "ran").read_text() == "b\n"
    assert (verdict.kind, verdict.states, verdict.succeeded) == ("final", "SS", True)
    assert (tmp_path / "output").read_text().splitlines()[-1].startswith("1/2 tasks run in ")


def test_a_run_with_nothing_left_to_do_has_its_verdict(run_job):
    code, verdict = run_job(task("a", "exit 9"), kept=kept("S"))

    assert code == 0
    assert (verdict.kind, verdict.states, verdict.succeeded) == ("final", "S", True)


def test_a_task_that_ended_the_job_early_is_not_asked_again(run_job, tmp_path):
    early = task("a", f"touch {tmp_path}/ran; exit 9", terminate=[9])
    below = task("b", f"touch {tmp_path}/ran", after=["a"])

    code, verdict = run_job(early, below, task("c"), kept=kept("WNW", codes={"1": 9}))

    assert code == 0
    assert not (tmp_path / "ran").exists()
    assert verdict.states == "SNK"
    assert verdict.succeeded


def test_a_run_that_fails_again_says_so(run_job):
    code, verdict = run_job(task("a"), task("b", "exit 5", after=["a"]), kept=kept("SW"))

    assert code == 2
    assert (verdict.kind, verdict.states, verdict.codes) == ("final", "SF", {1: 5})


def test_a_runner_told_to_stop_before_its_first_task_gives_the_claim_back(run_job):
    code, verdict = run_job(task("a"), task("b", after=["a"]), signals=1, kept=kept("SW"))

    assert code == 75
    assert verdict.kind == "unstarted"


def test_a_webhook_url_that_is_none_is_told_by_a_task_that_was_to_run(run_job):
    code, verdict = run_job(
        task("a"), task("b", after=["a"]), webhook={"url": "http://"}, kept=kept("SW")
    )

    assert code == 3
    assert (verdict.kind, verdict.states, verdict.succeeded) == ("final", "SW", False)


def test_the_webhook_is_told_of_a_whole_run(run_job):
    with Receiver() as receiver:
        run_job(task("a"), task("b", after=["a"]), webhook={"url": receiver.url}, kept=kept("SW"))

    events = [json.loads(request.body)["data"] for request in receiver.requests]
    assert events[0]["jobTransition"] == {"previousState": None, "currentState": "WAITING"}
    assert events[0]["taskStates"] == [
        {
            "taskName": "a",
            "state": "SUCCEEDED",
            "returnCode": 0,
            "duration": "PT1.500S",
            "started": "2026-03-01T12:00:00.123Z",
        },
        {"taskName": "b", "state": "WAITING"},
    ]
    moved = [t["taskName"] for event in events for t in event.get("taskTransitions", ())]
    assert moved == ["b", "b"]
    assert events[-1]["runState"] == "SUCCEEDED"


def test_a_code_that_was_not_kept_is_a_good_one(run_job, tmp_path):
    odd = task("a", f"touch {tmp_path}/ran; exit 3", ok=[3, 4])

    code, verdict = run_job(odd, kept=kept("S", codes={}))

    assert code == 0
    assert verdict.states == "S"
    assert not (tmp_path / "ran").exists()


def test_kept_results_stand_in_level_order_of_what_runs_from_the_start_task(run_job, tmp_path):
    tasks = [
        task("a", f"echo a >> {tmp_path}/ran"),
        task("b", f"echo b >> {tmp_path}/ran", after=["a"]),
        task("c", f"echo c >> {tmp_path}/ran", after=["b"]),
    ]

    code, verdict = run_job(*tasks, start="b", kept=kept("SW"))

    assert (code, verdict.states) == (0, "SS")
    assert (tmp_path / "ran").read_text() == "c\n"


@pytest.mark.parametrize("eager", [False, True])
def test_progress_begins_with_what_is_kept_and_what_is_skipped_by_it(eager):
    early = [task("a"), task("n", terminate=[9]), task("x", after=["n"]), task("y", after=["a"])]
    execution = Execution(
        Factfile.parse(factfile("job", *early), {}),
        eager=eager,
        kept={
            "a": KeptResult(0, 1_000_000_000, 2_000_000_000),
            "n": KeptResult(9, state="SUCCEEDED_NO_OP"),
        },
    )
    names = [run.name for run in execution.task_runs]
    progress = Progress("c" * 32, "ab" * 32, names, ("job", "run"))
    progress.take_over(execution.task_runs)

    report = progress.snapshot()
    letters = dict(zip(names, report.states, strict=True))
    assert letters == {"a": "S", "n": "N", "x": "K", "y": "W"}
    assert report.codes == {names.index("a"): 0, names.index("n"): 9}
    assert report.errors == {names.index("x"): "the task 'n' requested early termination"}
    assert progress.is_untouched
    assert [run.name for run in execution.take()] == ["y"]
    message = termination.decode(progress.termination_message().decode())
    assert message.kind == "progress"
