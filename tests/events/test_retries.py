"""How stubbornly to deliver: the policy as a value. Pure."""

import pytest

from factotum.events.retries import RetryPolicy


def never():
    raise AssertionError("only the original's schedule draws lots")


def test_default_waits_longer_each_time_and_not_after_the_last_try():
    policy = RetryPolicy()

    assert [policy.pause_after(failed, never) for failed in (1, 2, 3)] == [1.0, 2.0, 0.0]
    assert policy.patience is not None


@pytest.mark.parametrize(
    ("text", "pauses"),
    [("0", [0.0, 0.0, 0.0]), ("0.05", [0.05, 0.05, 0.0]), ("1,5", [1.0, 5.0, 0.0])],
)
def test_seconds_can_be_given(text, pauses):
    policy = RetryPolicy.parse(text)

    assert [policy.pause_after(failed, never) for failed in (1, 2, 3)] == pauses


def test_original_schedule_draws_each_pause_and_has_no_end():
    policy = RetryPolicy.parse("original")

    draws = iter([0, 0.5, 0.99999999])

    assert [policy.pause_after(3, lambda: next(draws)) for _ in range(3)] == [0, 30, 59.999]
    assert policy.patience is None


@pytest.mark.parametrize("text", ["", "x", "-1", "1,", "nan", "inf", "Original", "1;2"])
def test_other_texts_are_refused(text):
    with pytest.raises(ValueError, match="neither 'original' nor seconds"):
        RetryPolicy.parse(text)


@pytest.mark.parametrize(
    ("pauses", "timeout", "patience"),
    [
        ("1,2", 30.0, 60.0),
        ("1,2", 5.0, 60.0),
        ("1,2", 300.0, 303.0),
        ("120,5", 30.0, 151.0),
        ("original", 300.0, None),
    ],
)
def test_patience_lasts_for_the_longest_pause_and_try_that_were_asked_for(
    pauses, timeout, patience
):
    policy = RetryPolicy.parse(pauses)
    policy.timeout = timeout
    policy.expect_long_tries()

    assert policy.patience == patience
