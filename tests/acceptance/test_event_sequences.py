"""Events of random jobs, posted by the installed command, against a simple model of their own.

Real: the command, its tasks, the server. The model knows nothing of our code: it is written
from the specification, and only takes from the run the order in which tasks happened to end.
"""

import json

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from support.builders.factfiles import factfile, task
from support.commands import factotum_command, run_command
from support.http.receivers import Receiver

OUTCOMES = {0: "SUCCEEDED", 5: "FAILED", 9: "SUCCEEDED_NO_OP"}
WORDS = {"FAILED": "failed", "SUCCEEDED_NO_OP": "requested early termination"}


@st.composite
def jobs(draw, most):
    """Draw the dependencies and the exit code of each task, in file order."""
    size = draw(st.integers(0, most))
    job = {}
    for number in range(size):
        earlier = st.sampled_from(range(number)) if number else st.nothing()
        after = draw(st.lists(earlier, max_size=3, unique=True)) if number else []
        code = draw(st.sampled_from([0, 0, 0, 0, 5, 9]))
        job[f"t{number}"] = ([f"t{each}" for each in after], code)
    return job


class Model:
    """What must be posted, given the order in which tasks ended."""

    def __init__(self, job):
        self.job = job
        self.states = dict.fromkeys(job, "WAITING")
        self.reasons = {name: [] for name in job}
        self.levels = self._levels()

    def _children(self, name):
        return [each for each in reversed(self.job) if name in self.job[each][0]]

    def _levels(self):
        frontiers = [[name for name in reversed(self.job) if not self.job[name][0]]]
        while frontiers[-1]:
            following = [child for name in frontiers[-1] for child in self._children(name)]
            frontiers.append(list(dict.fromkeys(following)))
        return [
            [name for name in row if not any(name in later for later in frontiers[number + 1 :])]
            for number, row in enumerate(frontiers)
        ]

    def _descendants(self, name):
        found, pending = set(), [name]
        while pending:
            children = set(self._children(pending.pop())) - found
            found |= children
            pending += children
        return [each for level in self.levels for each in level if each in found]

    def end(self, name):
        """Return the transitions of a task's end."""
        state = OUTCOMES[self.job[name][1]]
        self.states[name] = state
        transitions = [(name, "RUNNING", state)]
        for each in self._descendants(name) if state in WORDS else []:
            transitions.append((each, self.states[each], "SKIPPED"))
            self.states[each] = "SKIPPED"
            self.reasons[each].append(f"the task '{name}' {WORDS[state]}")
        return transitions

    def events(self, ends):
        """Yield what each event must tell: transitions, and the states after them."""
        yield [(None, None, "WAITING")], dict(self.states)
        for number, level in enumerate(self.levels):
            starting = [name for name in level if self.states[name] == "WAITING"]
            self.states.update(dict.fromkeys(starting, "RUNNING"))
            if not number:
                yield [(None, "WAITING", "RUNNING")], dict(self.states)
            if starting:
                yield [(name, "WAITING", "RUNNING") for name in starting], dict(self.states)
            for _ in starting:
                name = next(ends)
                assert self.states[name] == "RUNNING"
                yield self.end(name), dict(self.states)
        failed = "FAILED" in self.states.values()
        last = "FAILED" if failed else "SUCCEEDED"
        yield [(None, "RUNNING", last)], dict(self.states)


def transitions(event):
    if "jobTransition" in event:
        change = event["jobTransition"]
        return [(None, change["previousState"], change["currentState"])]
    return [
        (each["taskName"], each["previousState"], each["currentState"])
        for each in event["taskTransitions"]
    ]


def run_job(job, folder, *options):
    """Run the job and return its exit code and events."""
    tasks = [
        task(name, "exit", str(code), after=after, terminate=[9])
        for name, (after, code) in job.items()
    ]
    (folder / "job").write_text(factfile("random", *tasks))
    with Receiver() as receiver:
        argv = [factotum_command(), "run", "job", "--webhook", receiver.url, *options]
        run = run_command(argv, cwd=folder)
    assert not run.timed_out
    return run.exit, [json.loads(request.body)["data"] for request in receiver.requests]


def check(job, folder):
    code, events = run_job(job, folder)
    ended = [change for event in events for change in transitions(event)[:1]]
    ends = iter([name for name, before, after in ended if name and before == "RUNNING"])
    model = Model(job)

    expected = list(model.events(ends))
    assert [transitions(event) for event in events] == [changes for changes, _ in expected]
    for event, (_, states) in zip(events, expected, strict=True):
        assert {each["taskName"]: each["state"] for each in event["taskStates"]} == states
    order = [name for level in model.levels for name in level]
    assert [each["taskName"] for each in events[-1]["taskStates"]] == order
    for each in events[-1]["taskStates"]:
        if each["state"] == "SKIPPED":
            assert each["errorMessage"] == ", ".join(model.reasons[each["taskName"]])
    assert code == (2 if "FAILED" in model.states.values() else 0)

    eager_code, eager = run_job(job, folder, "--schedule", "eager")
    states = {each["taskName"]: each["state"] for each in eager[-1]["taskStates"]}
    assert (eager_code, states) == (code, model.states)


def examples(count):
    return settings(
        max_examples=count,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


@examples(15)
@given(job=jobs(25))
def test_events_of_small_jobs_equal_the_model(job, tmp_path):
    check(job, tmp_path)


@pytest.mark.acceptance
@pytest.mark.timeout(900)
def test_events_of_jobs_of_up_to_200_tasks_equal_the_model(tmp_path):
    sizes = []

    @examples(100)
    @given(job=jobs(200))
    def check_all(job):
        sizes.append(len(job))
        check(job, tmp_path)

    check_all()
    print(f"\n{len(sizes)} random jobs of up to {max(sizes)} tasks equal the model")
