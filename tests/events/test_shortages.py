"""What a sender makes of a machine that has no thread or no descriptor left.

Real: the system's refusals (a stack larger than any address space, limits of descriptors),
an HTTP server, the installed command. Events are stand-ins as in test_delivery.py.
"""

import errno
import sys
import threading

import pytest

from factotum.events.delivery import Delivery
from factotum.events.posting import Poster
from factotum.events.retries import RetryPolicy
from factotum.events.urls import parse_webhook_url
from support.builders.factfiles import CHAIN, FAIL
from support.commands import factotum_command, run_command
from support.http.deliveries import NO_STACK, QUICK, bodies, body_of, event, no_threads, open_files
from support.http.receivers import Receiver

WARNED = (
    "Waiting for webhook to finish sending events... done!\nWarning: some events failed to send\n"
)


def test_no_thread_at_all_is_a_failed_delivery(deliver):
    with Receiver() as receiver:
        delivery, failures = deliver(receiver.url)
        with no_threads():
            delivery.put(event(1))
            delivery.put(event(2))
            delivery.close()

            assert delivery.drain()
    assert receiver.requests == []
    assert (delivery.produced, delivery.delivered) == (2, 0)
    assert failures == [(b"1", 0, "can't start new thread")]


def test_events_wait_for_the_moment_when_a_thread_can_be_had(deliver):
    with Receiver() as receiver:
        delivery, failures = deliver(receiver.url)
        with no_threads():
            delivery.put(event(1))
        delivery.put(event(2))
        delivery.close()

        assert delivery.drain(10)
    assert bodies(receiver) == [b"1", b"2"]
    assert failures == []


def test_thread_is_asked_for_once_more_at_the_end(deliver):
    with Receiver() as receiver:
        delivery, failures = deliver(receiver.url)
        with no_threads():
            delivery.put(event(1))
        delivery.close()

        assert delivery.drain(10)
    assert bodies(receiver) == [b"1"]
    assert failures == []


def test_waiting_for_a_thread_can_be_broken_off(deliver):
    delivery, failures = deliver("http://127.0.0.1:1/", RetryPolicy(pauses=(60,)))
    before = open_files()
    with no_threads():
        delivery.put(event(1))
        delivery.close()
        timer = threading.Timer(0.2, delivery.abort)
        threading.stack_size(0)
        timer.start()
        threading.stack_size(NO_STACK)

        assert delivery.drain()
    timer.join()
    assert failures == []
    assert open_files() == before


@pytest.mark.parametrize(("text", "code"), [(CHAIN, 0), (FAIL, 2)], ids=["succeeds", "fails"])
def test_run_without_a_thread_ends_as_its_job_does_and_says_what_was_not_sent(text, code, tmp_path):
    (tmp_path / "job").write_text(text)
    program = (
        "import sys, threading\n"
        f"threading.stack_size({NO_STACK})\n"
        "from factotum.entry import main\n"
        "sys.exit(main())"
    )
    with Receiver() as receiver:
        argv = ["run", "job", "--webhook", receiver.url, "--webhook-backoff", "0"]
        run = run_command([sys.executable, "-c", program, *argv], cwd=tmp_path)

    log = (tmp_path / ".factotum" / "factotum.log").read_text()
    assert run.exit == code
    assert run.out.endswith(WARNED)
    assert "Traceback" not in run.err
    assert "Reason: 0, can't start new thread\n" in log
    assert log.endswith("events were not delivered\n")


def make_client_after(errors, url):
    """Return a maker of clients that raises these errors first."""
    left = list(errors)

    def make():
        if left:
            raise left.pop(0)
        return Poster(parse_webhook_url(url), QUICK.timeout)

    return make


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.EMFILE, "Too many open files"),
        ImportError("_socket.so: cannot open shared object file: Too many open files"),
        MemoryError(),
    ],
    ids=["descriptor", "library", "memory"],
)
def test_client_that_cannot_be_had_yet_is_not_counted_as_a_failed_try(error):
    failures = []
    with Receiver() as receiver:
        delivery = Delivery(
            make_client_after([error] * 4, receiver.url),
            body_of,
            policy=QUICK,
            warn=lambda *failure: failures.append(failure),
        )
        delivery.put(event(1))
        delivery.close()

        assert delivery.drain(10)
    assert (bodies(receiver), failures) == ([b"1"], [])


@pytest.mark.parametrize(
    "error", [ImportError("No module named 'ssl'"), RuntimeError("odd")], ids=lambda each: str(each)
)
def test_client_that_cannot_be_had_at_all_is_a_failed_try_told_in_words(error):
    failures = []
    with Receiver() as receiver:
        delivery = Delivery(
            make_client_after([error] * 3, receiver.url),
            body_of,
            policy=QUICK,
            warn=lambda update, answer: failures.append((body_of(update), answer.reason)),
        )
        delivery.put(event(1))
        delivery.put(event(2))
        delivery.close()

        assert delivery.drain(10)
    assert failures == [(b"1", str(error))] * 3
    assert bodies(receiver) == [b"2"]


def test_shortage_that_lasts_until_patience_ends_is_told():
    failures = []
    error = OSError(errno.EMFILE, "Too many open files")
    delivery = Delivery(
        make_client_after([error] * 1000, ""),
        body_of,
        policy=RetryPolicy(patience=0.3),
        warn=lambda update, answer: failures.append((body_of(update), answer.reason)),
    )
    delivery.put(event(1))
    delivery.put(event(2))
    delivery.close()

    assert delivery.drain()
    assert delivery.delivered == 0
    assert failures == [(b"1", "Too many open files (os error 24)")]


@pytest.mark.parametrize("limit", [8, 9, 10, 12, 13, 16, 20])
def test_few_descriptors_may_keep_a_task_from_starting_but_no_event_from_its_consumer(
    limit, tmp_path
):
    (tmp_path / "job").write_text(CHAIN)
    with Receiver() as receiver:
        argv = [factotum_command(), "run", "job", "--webhook", receiver.url]
        limited = ["sh", "-c", f'ulimit -n {limit}; exec "$0" "$@"', *argv]
        run = run_command(limited, cwd=tmp_path)

    assert "Traceback" not in run.err
    assert run.out.endswith("Waiting for webhook to finish sending events... done!\n")
    assert len(receiver.requests) >= 5
