"""Workers and job ids: who gets them, and that none is lost or given twice. Pure."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from factotum.controller.facts.observed import Held, Waits
from factotum.controller.queue.admission import Holders, Key, Limits, Waiting, admit
from factotum.controller.queue.slots import TOLD, Slots

EARLY, LATE = Waiting("2026-03-01T10:00:00Z", "a"), Waiting("2026-03-01T11:00:00Z", "b")
LATE_TOO = Waiting("2026-03-01T11:00:00Z", "c")
KEY = Key("team", "id")


def same(uid, created="t", policy="Queue", namespace="team"):
    return Waiting(created, uid, namespace, "id", policy)


def holders(*uids, ids=None, namespace="team"):
    workers = dict.fromkeys(uids, namespace)
    return Holders(workers=workers, in_namespace=Counter(workers.values()), ids=ids or {})


@pytest.mark.parametrize(
    ("queue", "having", "workers", "admitted"),
    [
        pytest.param([], (), 2, [], id="nobody waits"),
        pytest.param([EARLY, LATE], (), 1, ["a"], id="first come, first served"),
        pytest.param([LATE, LATE_TOO], (), 1, ["b"], id="of one moment the smaller UID"),
        pytest.param([EARLY, LATE], (), 5, ["a", "b"], id="room for all"),
        pytest.param([EARLY, LATE], ("x",), 2, ["a"], id="room for one"),
        pytest.param([EARLY], ("x", "y"), 2, [], id="no room"),
        pytest.param([EARLY], ("x", "y", "z"), 2, [], id="more run than there is room for"),
    ],
)
def test_workers_are_given_out_in_order(queue, having, workers, admitted):
    got = admit(sorted(queue), holders(*having), Limits(workers=workers))

    assert [waiting.uid for waiting in got] == admitted


@pytest.mark.parametrize(
    ("queue", "ids", "admitted"),
    [
        pytest.param([same("a"), same("b")], {}, ["a"], id="one of a job id at a time"),
        pytest.param([same("a")], {KEY: ["x"]}, [], id="nobody displaces who has it"),
        pytest.param([same("a"), LATE], {KEY: ["x"]}, ["b"], id="who cannot go lets others by"),
        pytest.param([same("a", policy="Allow")], {KEY: ["x"]}, ["a"], id="allowed beside it"),
        pytest.param(
            [same("a", policy="Allow"), same("b")], {}, ["a"], id="who may not run beside waits"
        ),
        pytest.param(
            [same("a"), same("b", policy="Allow")], {}, ["a", "b"], id="who may runs beside"
        ),
        pytest.param(
            [same("a"), same("b", namespace="other")], {}, ["a", "b"], id="of another namespace"
        ),
        pytest.param([same("a")], {KEY: ["a"]}, ["a"], id="who has the job id already"),
        pytest.param([same("a")], {KEY: ["a", "x"]}, ["a"], id="though another has it as well"),
        pytest.param([same("a"), same("b")], {KEY: ["b"]}, ["b"], id="and before the first come"),
        pytest.param([EARLY, LATE], {}, ["a", "b"], id="no job id is no job id"),
    ],
)
def test_a_job_id_is_given_to_one_unless_others_may_run_beside(queue, ids, admitted):
    got = admit(queue, holders(ids=ids), Limits(workers=5))

    assert [waiting.uid for waiting in got] == admitted


def test_a_full_namespace_waits_while_others_go():
    queue = [Waiting("1", "a", "full"), Waiting("2", "b", "free"), Waiting("3", "c", "free")]
    having = holders("x", namespace="full")

    got = admit(queue, having, Limits(workers=9, per_namespace=1))

    assert [waiting.uid for waiting in got] == ["b"]


def test_wanting_twice_gives_one_worker():
    slots = Slots(2)

    assert slots.join(EARLY) == ["a"]
    assert slots.join(EARLY) == []
    assert slots.join(LATE) == ["b"]


def test_a_released_worker_goes_to_the_oldest():
    slots = Slots(1)
    slots.join(Waiting("", "x"))
    slots.join(LATE)
    slots.join(EARLY)

    assert slots.release("x") == ["a"]
    assert slots.place("a") == Held()
    assert slots.place("b") == Waits(position=1)
    assert slots.place("x") is None


def test_who_leaves_the_queue_gets_nothing():
    slots = Slots(1)
    slots.join(Waiting("", "x"))
    slots.join(EARLY)

    assert slots.release("a") == []
    assert slots.release("x") == []


def test_what_is_seen_to_run_counts_even_without_room():
    slots = Slots(1)
    slots.join(EARLY)
    slots.hold("x")

    assert slots.release("a") == []
    assert slots.join(LATE) == []
    assert slots.release("x") == ["b"]


def test_positions_are_exact_for_all_and_told_to_the_first():
    slots = Slots(1, max_jobs=TOLD + 1)
    slots.hold("x")
    for number in range(TOLD + 2, 0, -1):
        slots.join(Waiting(f"{number:03}", str(number)))

    assert [slots.position(str(n)) for n in (1, TOLD, TOLD + 2)] == [1, TOLD, TOLD + 2]
    assert slots.position("x") is None
    assert slots.place(str(TOLD)) == Waits(position=TOLD)
    assert slots.place(str(TOLD + 1)) == Waits()
    assert slots.place(str(TOLD + 2)) == Waits(is_beyond=True)
    assert slots.first() == [str(n) for n in range(1, TOLD + 1)]


def test_a_full_namespace_is_told_to_its_own():
    slots = Slots(5, per_namespace=1)
    slots.join(Waiting("1", "a", "team"))
    slots.join(Waiting("2", "b", "team"))

    assert slots.place("b") == Waits(position=1, namespace_is_full=True)
    assert slots.join(Waiting("3", "c", "other")) == ["c"]


# --- job ids --------------------------------------------------------------------------


def test_the_next_of_a_job_id_goes_when_the_one_before_is_released():
    slots = Slots(5)
    assert slots.join(same("a", "1")) == ["a"]
    assert slots.join(same("b", "2")) == []
    assert slots.join(same("c", "3")) == []

    assert (list(slots.rivals("b")), list(slots.rivals("c"))) == (["a"], ["a", "b"])
    assert slots.release("a") == ["b"]
    assert slots.release("b") == ["c"]
    assert slots.release("c") == []
    assert slots.held_ids == 0


def test_a_stuck_pod_keeps_its_job_id_without_a_worker_and_goes_before_all_of_it():
    slots = Slots(1)
    slots.join(same("stuck", "9"))
    slots.join(same("older", "1"))
    slots.join(LATE)

    assert slots.give_back("stuck") == ["b"]
    assert slots.join(same("stuck", "9")) == []
    assert slots.release("b") == ["stuck"]
    assert slots.release("stuck") == ["older"]


def test_a_waiting_job_that_has_its_job_id_after_all_takes_a_worker_that_is_free():
    slots = Slots(5)
    slots.join(same("a", "1"))
    slots.join(same("b", "2"))

    assert slots.keep_ids("b", [KEY]) == ["b"]


def test_of_two_that_have_a_pod_only_the_first_to_claim_starts():
    slots = Slots(5)
    for uid in ("a", "b"):
        slots.hold(uid, [KEY], namespace="team")

    assert slots.start(same("b"))
    assert not slots.start(same("a"))
    assert slots.start(same("b"))
    assert (slots.place("a"), slots.place("b")) == (Waits(), Held())
    assert list(slots.rivals("a")) == ["b"]
    assert slots.start(same("c", policy="Allow"))
    slots.release("b")
    assert not slots.start(same("a"))
    slots.release("c")
    assert slots.start(same("a"))


def test_who_may_run_beside_others_is_held_up_by_nobody():
    slots = Slots(5)
    slots.hold("x", [KEY], started=True)

    assert slots.join(same("a", policy="Allow")) == ["a"]
    assert slots.place("a") == Held()
    assert slots.join(same("b")) == []
    slots.release("x")
    assert slots.place("b") == Waits(position=1)
    assert slots.release("a") == ["b"]


def test_a_job_that_does_not_wait_hears_of_whoever_comes_before_it():
    slots = Slots(1)
    slots.hold("x")
    slots.join(same("rejecting", "2", policy="Reject"))

    assert slots.join(same("older", "1")) == ["rejecting"]
    assert list(slots.rivals("rejecting")) == ["older"]
    slots.release("older")
    slots.join(same("beside", "0", policy="Allow"))
    assert slots.release("x") == ["beside", "rejecting"]


def test_of_ten_thousand_that_cannot_go_none_is_looked_at():
    slots = Slots(5, per_namespace=2)
    for number in range(5000):
        slots.join(same(f"one-{number:04}", "1"))
        slots.join(Waiting("2", f"full-{number:04}", "full", f"id-{number}"))

    assert (len(slots), slots.waiting) == (3, 9997)
    full = slots._holders.is_full
    assert list(slots._line.candidates(lambda ns: full(ns, slots._limits))) == []
    assert slots.release("one-0000") == ["one-0001"]


# --- properties ------------------------------------------------------------------------

UIDS = st.sampled_from("abcdefgh")
QUEUES = st.dictionaries(
    UIDS,
    st.tuples(
        st.sampled_from("12"),
        st.sampled_from(["n", "m"]),
        st.sampled_from(["", "p", "q"]),
        st.sampled_from(["Queue", "Reject", "Allow"]),
    ),
)


@given(QUEUES, st.integers(1, 4), st.none() | st.integers(1, 2), st.sets(UIDS, max_size=2))
def test_the_line_leaves_out_only_those_that_cannot_go(queue, workers, per_namespace, running):
    """What is given out by way of the line is what the plain rule gives, of all who wait."""
    slots = Slots(workers, per_namespace=per_namespace)
    for uid in running:
        slots.hold(f"r{uid}", [Key("n", "p")], namespace="n")
    for _ in range(workers):
        slots.hold(f"x{_}")
    waiting = sorted(Waiting(created, uid, *rest) for uid, (created, *rest) in queue.items())
    for each in waiting:
        assert each.uid not in slots.join(each)
    limits = Limits(workers=workers, per_namespace=per_namespace)
    got = []
    for number in range(workers):
        got += slots.release(f"x{number}")
    admitted = [uid for uid in got if isinstance(slots.place(uid), Held)]

    plain = []
    held = Holders(ids={Key("n", "p"): {f"r{uid}" for uid in running}} if running else {})
    held.workers.update(dict.fromkeys((f"r{uid}" for uid in running), "n"))
    held.in_namespace["n"] = len(running)
    ids = {key: set(uids) for key, uids in held.ids.items()}
    while True:
        now = Holders(workers=held.workers, in_namespace=held.in_namespace, ids=ids)
        left = [each for each in waiting if each.uid not in plain]
        chosen = admit(left, now, limits)[:1]
        if not chosen:
            break
        (each,) = chosen
        plain.append(each.uid)
        held.workers[each.uid] = each.namespace
        held.in_namespace[each.namespace] += 1
        if each.key is not None:
            ids.setdefault(each.key, set()).add(each.uid)
    assert admitted == plain


class Giving(RuleBasedStateMachine):
    """Any order of wanting, having, starting and letting go."""

    def __init__(self):
        super().__init__()
        self.slots = Slots(2, per_namespace=2)
        self.policies = {}

    @rule(uid=UIDS, job_id=st.sampled_from(["p", "q"]), policy=st.sampled_from(["Queue", "Allow"]))
    def join(self, uid, job_id, policy):
        # A job's id and policy are its own for ever.
        job_id, policy = self.policies.setdefault(uid, (job_id, policy))
        self.slots.join(Waiting(uid, uid, "n", job_id, policy))

    @rule(uid=UIDS, with_worker=st.booleans())
    def see(self, uid, with_worker):
        if uid not in self.policies:
            return
        job_id, policy = self.policies[uid]
        see = self.slots.hold if with_worker else self.slots.keep_ids
        see(uid, [Key("n", job_id)], beside=policy == "Allow")

    @rule(uid=UIDS)
    def start(self, uid):
        if uid not in self.policies or not self.slots.has_worker(uid):
            return
        job_id, policy = self.policies[uid]
        key = Key("n", job_id)
        others = [u for u, started in self.slots._ids.get(key, {}).items() if started and u != uid]
        allowed = self.slots.start(Waiting(uid, uid, "n", job_id, policy))
        assert allowed == (policy == "Allow" or not others)

    @rule(uid=UIDS, how=st.sampled_from(["release", "give_back"]))
    def let_go(self, uid, how):
        getattr(self.slots, how)(uid)

    @invariant()
    def nothing_is_lost(self):
        slots = self.slots
        holders, line = slots._holders, slots._line
        assert Counter(holders.workers.values()) == holders.in_namespace
        assert not [uid for uid in holders.workers if uid in line]
        assert all(slots._ids.values())
        assert {u for having in slots._ids.values() for u in having} == set(slots._keys)
        waiting = line.first(99)
        assert list(waiting) == sorted(waiting)
        assert admit(waiting, holders, slots._limits) == [], "a worker stays empty"


TestGiving = Giving.TestCase
