"""Which namespaces take Pods at present, by what became of others. Pure: moments are passed in."""

from factotum.controller.facts.observed import PodRefusal
from factotum.controller.observe.namespaces import MOST_IN_ALL, MOST_IN_ONE, Namespaces

AWAY = PodRefusal(permanent=False, reason="PodNotCreated", message="away", is_answer=False)
FULL = PodRefusal(permanent=False, reason="PodForbidden", message="full")


def test_a_namespace_of_which_nothing_is_known_takes_pods():
    assert Namespaces().refusal("a", "u1", 0) is None


def test_a_request_that_hangs_keeps_the_next_ones_of_its_namespace_back_and_no_others():
    namespaces = Namespaces()
    namespaces.begin("a", "u1", 0)

    assert namespaces.refusal("a", "u2", 1.9) is None
    held = namespaces.refusal("a", "u2", 2.0)
    assert held.reason == "PodNotCreated"
    assert not held.permanent
    assert namespaces.refusal("b", "u2", 2.0) is None
    assert namespaces.refusal("a", "u1", 2.0) is None


def test_an_answer_that_comes_late_lets_the_others_go_on():
    namespaces = Namespaces()
    namespaces.begin("a", "u1", 0)
    namespaces.end("a", "u1", None, 9)

    assert namespaces.refusal("a", "u2", 9) is None


def test_a_refusal_is_an_answer_and_concerns_its_job_alone():
    namespaces = Namespaces()
    namespaces.begin("a", "u1", 0)
    namespaces.end("a", "u1", FULL, 1)

    assert namespaces.refusal("a", "u2", 1) is None


def test_after_a_failure_one_at_a_time_tries_again_and_ever_later():
    namespaces = Namespaces()
    pauses, now = [], 0.0
    for _ in range(9):
        namespaces.begin("a", "u1", now)
        assert namespaces.refusal("a", "u2", now) in (AWAY, None)
        namespaces.end("a", "u1", AWAY, now)
        pause = next(s / 4 for s in range(400) if not namespaces.refusal("a", "u2", now + s / 4))
        pauses.append(pause)
        now += pause
    assert pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]

    namespaces.begin("a", "u2", now)
    assert namespaces.refusal("a", "u3", now) == AWAY
    namespaces.end("a", "u2", None, now)
    assert namespaces.refusal("a", "u3", now) is None


def test_so_many_at_once_are_asked_for_and_no_more():
    namespaces = Namespaces()
    for number in range(MOST_IN_ONE):
        assert namespaces.refusal("a", f"u{number}", 0) is None
        namespaces.begin("a", f"u{number}", 0)

    assert namespaces.refusal("a", "another", 0) is not None
    for number in range(MOST_IN_ALL - MOST_IN_ONE):
        assert namespaces.refusal("b" * (number + 1), "u", 0) is None
        namespaces.begin("b" * (number + 1), f"v{number}", 0)
    assert namespaces.refusal("c", "u", 0) is not None


def test_what_ended_is_forgotten_and_ends_once():
    namespaces = Namespaces()
    namespaces.begin("a", "u1", 0)
    namespaces.begin("a", "u1", 1)
    namespaces.end("a", "u1", None, 1)
    namespaces.end("a", "u1", None, 1)
    namespaces.end("never", "u1", None, 1)

    assert namespaces._doors == {}
    assert namespaces._under_way == 0
