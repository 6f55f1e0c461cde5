"""The listener between a run and its consumer: which events, when, and the end.

Real: an HTTP server and the sender's thread. The run is driven by hand, so that its moments
are known. Signals at the end belong to tests/conformance (R-179).
"""

import json
import time

import pytest

from factotum.core.factfile.document import Factfile
from factotum.core.run.execution import Execution
from factotum.core.run.output import OutputTail
from factotum.events.retries import RetryPolicy
from factotum.events.urls import parse_webhook_url
from factotum.events.webhook import WebhookListener
from support.builders.factfiles import CHAIN, factfile, task
from support.commands import factotum_command, run_command
from support.http.receivers import HANG, Receiver, Reply, reply

REFERENCE = "ab" * 32
TWO = factfile("two", task("x"), task("y"))


@pytest.fixture
def listen():
    """Make listeners for a receiver; they are aborted when the test has ended."""
    made = []

    def make(text, url, **options):
        parsed = Factfile.parse(text, {})
        options = {"policy": RetryPolicy(pauses=(0.01,))} | options
        listener = WebhookListener(parse_webhook_url(url), parsed, {}, REFERENCE, **options)
        made.append(listener)
        return Execution(parsed), listener

    yield make
    for listener in made:
        listener.abort()


def run_level(execution, listener, *, first=False):
    """Start what may start, and let each task end well."""
    runs = execution.take()
    for run in runs:
        execution.start(run, time.time_ns())
    if first:
        listener.run_started(execution)
    listener.tasks_started(execution, runs)
    for run in runs:
        listener.task_finished(execution, run, execution.finish(run, 0, 1_000_000))


def events(receiver):
    return [json.loads(request.body)["data"] for request in receiver.requests]


def test_run_of_a_chain_makes_nine_events(listen):
    with Receiver() as receiver:
        execution, listener = listen(CHAIN, receiver.url)
        listener.run_created(execution)
        run_level(execution, listener, first=True)
        run_level(execution, listener)
        run_level(execution, listener)
        execution.end()
        listener.run_finished(execution)

        assert listener.drain(10)
    told = events(receiver)
    assert len(told) == 9
    assert [event["taskStates"][0]["state"] for event in told] == [
        "WAITING",
        *["RUNNING"] * 2,
        *["SUCCEEDED"] * 6,
    ]
    assert [event["runState"] for event in told] == ["WAITING", *["RUNNING"] * 7, "SUCCEEDED"]
    assert listener.undelivered == 0


def test_run_duration_is_taken_when_the_event_is_made(listen):
    with Receiver([Reply(reply(200).raw, delay=0.6), reply(200)]) as receiver:
        execution, listener = listen(factfile("empty"), receiver.url)
        listener.run_created(execution)
        listener.run_started(execution)
        execution.end()
        listener.run_finished(execution)
        assert listener.drain(10)

    durations = [event["runDuration"] for event in events(receiver)]
    assert all(each.startswith("PT0.") for each in durations)
    assert all(float(each[2:-1]) < 0.3 for each in durations)


def test_heartbeat_tells_the_output_so_far(listen):
    with Receiver() as receiver:
        execution, listener = listen(TWO, receiver.url, live_output=True)
        listener.run_created(execution)
        runs = execution.take()
        for run in runs:
            execution.start(run, time.time_ns())
        listener.run_started(execution)
        runs[0].stdout = OutputTail(8)
        runs[0].stdout.append(b"line1\nline2\n")
        listener.heartbeat(execution, runs)
        listener.task_finished(execution, runs[1], execution.finish(runs[1], 0, 1))
        sent = receiver.wait_for(4)

    heartbeat, ended = (json.loads(request.body)["data"] for request in sent[2:])
    assert [
        (each["taskName"], each["previousState"], each["currentState"])
        for each in heartbeat["taskTransitions"]
    ] == [(run.name, "RUNNING", "RUNNING") for run in runs]
    assert heartbeat["taskStates"][0]["stdout"] == "e1\nline2"
    assert "stdout" not in heartbeat["taskStates"][1]
    assert ended["taskStates"][0]["stdout"] == "e1\nline2"


def test_heartbeat_without_a_running_task_is_no_event(listen):
    with Receiver() as receiver:
        execution, listener = listen(factfile("empty"), receiver.url)
        listener.run_created(execution)
        listener.heartbeat(execution, [])
        execution.end()
        listener.run_finished(execution)
        assert listener.drain(10)

    assert len(receiver.requests) == 2


def test_failed_try_is_told_in_two_lines_without_what_the_event_says(listen):
    told = []
    with Receiver([500, 200]) as receiver:
        url = receiver.url.replace("//", "//user:p%40ss@") + "/hook?token=t0k3n#here"
        text = factfile("secret-name", task("secret-task", "echo", "secret-argument"))
        execution, listener = listen(text, url, warn=told.append)
        listener.run_created(execution)
        assert listener.drain(10)

    sent = json.loads(receiver.requests[0].body)
    known = {
        "schema": sent["schema"],
        "runReference": REFERENCE,
        "runState": "WAITING",
        "runDuration": sent["data"]["runDuration"],
    }
    compact = json.dumps(known, separators=(",", ":"))
    assert told == [
        f"Failed to send webhook update to '{receiver.url}/...': {compact}\nReason: 500, Status"
    ]


def test_drain_ends_a_run_that_broke_off(listen):
    with Receiver() as receiver:
        execution, listener = listen(CHAIN, receiver.url)
        listener.run_created(execution)

        assert listener.drain(10)
    assert len(receiver.requests) == 1


def test_abort_leaves_the_rest_undelivered(listen):
    with Receiver([HANG]) as receiver:
        execution, listener = listen(CHAIN, receiver.url)
        listener.run_created(execution)
        run_level(execution, listener, first=True)
        receiver.wait_for(1)
        listener.abort()

        assert listener.drain()
    assert listener.finished
    assert listener.undelivered == 4


def test_level_wider_than_the_descriptors_loses_no_event(tmp_path):
    """With 40 descriptors about a dozen tasks run at once, and each end makes room for another."""
    tasks = [task(f"t{number}", "sleep 0.2") for number in range(60)]
    (tmp_path / "job").write_text(factfile("wide", *tasks))
    with Receiver() as receiver:
        argv = [factotum_command(), "run", "job", "--webhook", receiver.url]
        limited = ["sh", "-c", 'ulimit -n 40; exec "$0" "$@"', *argv]
        run = run_command(limited, cwd=tmp_path)

    assert run.exit == 0
    assert run.out.endswith("Waiting for webhook to finish sending events... done!\n")
    assert len(receiver.requests) == 4 + 60
