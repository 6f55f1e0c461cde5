"""A webhook that does not work may hold a finished run for a bounded time only, and that is told.

Real: the installed command with its default settings (the long ones) or its options. The
original needs 208 to 256 s for a dead consumer of three events, and for ever for a silent one.
"""

import pytest

from support.builders.factfiles import EMPTY, factfile, task
from support.commands import factotum_command, run_command
from support.http.receivers import HANG, Receiver, reply

WARNED = (
    "Waiting for webhook to finish sending events... done!\nWarning: some events failed to send\n"
)
DEAD = "http://127.0.0.1:1/"


@pytest.fixture
def finish(tmp_path):
    """Run a job with a webhook and return what it left."""

    def run(url, *options, text=EMPTY, timeout=100):
        (tmp_path / "job").write_text(text)
        argv = [factotum_command(), "run", "job", "--webhook", url, *options]
        done = run_command(argv, cwd=tmp_path, timeout=timeout)
        print(f"\n{' '.join(options) or 'default settings'}: ended after {done.seconds:.1f} s")
        return done

    return run


@pytest.mark.acceptance
def test_dead_consumer_of_three_events_costs_ten_seconds(finish):
    run = finish(DEAD)

    assert (run.exit, run.out) == (0, f"0/0 tasks run in 0.0s\n{WARNED}")
    assert run.seconds < 10


@pytest.mark.acceptance
def test_silent_consumer_costs_about_a_minute(finish):
    with Receiver([HANG]) as receiver:
        run = finish(receiver.url)

    assert run.exit == 0
    assert run.out.endswith(WARNED)
    assert run.seconds < 65


@pytest.mark.acceptance
def test_original_schedule_can_be_asked_for(finish):
    """It sleeps up to a minute after each of nine failed tries: 4.5 minutes on average."""
    run = finish(DEAD, "--webhook-backoff", "original", timeout=25)

    assert run.timed_out or run.seconds > 20


@pytest.mark.acceptance
def test_silent_consumer_ends_by_its_time_limit(finish):
    with Receiver([HANG]) as receiver:
        run = finish(receiver.url, "--webhook-timeout", "1", "--webhook-backoff", "0")

    assert run.exit == 0
    assert run.out.endswith(WARNED)
    assert run.seconds < 15


def test_endless_redirects_are_not_followed(finish):
    with Receiver([reply(307, {"Location": "/"})]) as receiver:
        run = finish(receiver.url, "--webhook-backoff", "0")

    assert run.out.endswith(WARNED)
    assert len(receiver.requests) == 9
    assert all(request.body for request in receiver.requests)


def test_heartbeats_do_not_delay_the_end(finish):
    with Receiver() as receiver:
        run = finish(
            receiver.url, "--heartbeat-interval", "3600", text=factfile("j", task("a", "sleep 0.2"))
        )

    assert run.exit == 0
    assert run.seconds < 5
    assert len(receiver.requests) == 5


def test_heartbeats_without_pause_are_refused(finish):
    run = finish(DEAD, "--heartbeat-interval", "0")

    assert run.exit == 3
    assert "--heartbeat-interval" in run.out
