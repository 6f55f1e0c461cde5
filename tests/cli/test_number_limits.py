"""Numbers at the edge: each that is accepted works, every other one is a usage error.

Real: the installed command and an HTTP server that takes its time.
"""

import itertools

import pytest

from support.builders.factfiles import CHAIN, factfile, task
from support.commands import factotum_command, run_command
from support.http.receivers import Receiver, Reply, reply

NUMBERS = (
    "--heartbeat-interval",
    "--max-stdouterr-size",
    "--max-parallel",
    "--webhook-timeout",
)
EDGES = (
    2**31 // 1000,
    2**32 // 1000 + 1,
    2**31,
    2**32,
    2**63 // 10**9,
    2**63 // 10**9 + 1,
    2**63,
    2**64 - 1,
)


@pytest.fixture
def run(tmp_path):
    def make(*options, text=CHAIN, timeout=30):
        (tmp_path / "job").write_text(text)
        argv = [factotum_command(), "run", "job", *options]
        done = run_command(argv, cwd=tmp_path, timeout=timeout)
        assert (done.timed_out, "Traceback" in done.err) == (False, False)
        return done

    return make


def is_delivered(done):
    return done.out.endswith("Waiting for webhook to finish sending events... done!\n")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        (option, value)
        for option, value in itertools.product(NUMBERS, EDGES)
        if option != "--heartbeat-interval"  # how the loop waits for it is the runner's matter
    ],
)
def test_any_large_number_works(option, value, run):
    with Receiver(lambda *_: Reply(reply(200).raw, delay=0.02)) as receiver:
        done = run("--webhook", receiver.url, f"{option}={value}")

    assert done.exit == 0
    assert is_delivered(done)
    assert len(receiver.requests) == 9


def test_all_large_numbers_work_together_in_both_schedules(run):
    with Receiver() as receiver:
        options = [f"{option}={2**64 - 1}" for option in NUMBERS[1:]]
        levels = run("--webhook", receiver.url, *options)
        eager = run("--webhook", receiver.url, *options, "--schedule=eager")

    assert is_delivered(levels)
    assert is_delivered(eager)
    assert len(receiver.requests) == 18


def test_long_time_limit_waits_for_a_late_answer(run):
    """4,294,968 seconds are 704 ms for a call that counts milliseconds in 32 bits."""
    with Receiver([Reply(reply(200).raw, delay=1.0), reply(200)]) as receiver:
        done = run("--webhook", receiver.url, "--webhook-timeout=4294968")

    assert is_delivered(done)
    assert len(receiver.requests) == 9


@pytest.mark.parametrize("value", [0, 1, 2**64 - 1])
def test_output_is_kept_up_to_any_size(value, run):
    text = factfile("x", task("a", "printf 'first\\nlast\\n'"))
    with Receiver() as receiver:
        done = run("--webhook", receiver.url, f"--max-stdouterr-size={value}", text=text)

    wanted = {0: b'"stdout":""', 1: b'"stdout":"t"'}.get(value, b'"stdout":"first\\nlast"')
    assert is_delivered(done)
    assert wanted in receiver.requests[-1].body


@pytest.mark.parametrize("option", NUMBERS)
def test_zeros_in_front_do_not_count_however_many(option, run):
    assert run(f"{option}={'0' * 5000}7").exit == 0
    assert run(f"{option}=+{'0' * 5000}7").exit == 0


@pytest.mark.parametrize(
    "value",
    [str(2**64), "9" * 5000, "-1", "1.0", "1e3", "1_0", "0x1", " 1", "\uff11", "inf", "nan"],
)
@pytest.mark.parametrize("option", NUMBERS)
def test_other_numbers_are_refused_in_the_original_s_words(option, value, run):
    kind = "usize" if option.startswith("--max") else "u64"

    done = run(option, value)

    assert (done.exit, done.out) == (3, f"Could not decode '{value}' to {kind} for '{option}'.")


@pytest.mark.parametrize("pauses", ["0", "0.0001", "1e-300", "86399.999,0", "0,0,0,0,0", "86399"])
def test_any_pause_that_is_accepted_works(pauses, run):
    with Receiver() as receiver:
        done = run("--webhook", receiver.url, "--webhook-backoff", pauses)

    assert is_delivered(done)


@pytest.mark.parametrize(
    "pauses",
    ["", "-1", "86400", "1e300", "inf", "nan", "9" * 5000, "1,,2", "1;2", "Original", "1_0"],
)
@pytest.mark.parametrize("webhook", [[], ["--webhook", "http://127.0.0.1:1/"]])
def test_other_pauses_are_refused_with_and_without_a_webhook(pauses, webhook, run):
    done = run(*webhook, "--webhook-backoff", pauses)

    assert done.exit == 3
    assert done.out.startswith(f"The value '{pauses}' of '--webhook-backoff' is neither 'original'")
