"""The invariants of a job, whatever happens to anybody at any moment.

Real: the reconciler, its queue and slots, decisions, claims and reports. The
cluster around them is a model (``support.model.cluster``): hypothesis gives and
takes back orders, asks for other attempts, loses
answers, kills controllers, runners and Pods, delays watch events and claims,
starts second processes, and lets time pass. Checked all along:

I1  an attempt's tasks start at most once;
I2  a verdict never changes but by another attempt that was asked for;
I3  SUCCEEDED only if the run truly succeeded;
and after everything has recovered
I4  every job has reached the right final state, and no worker and no job id is lost.

I5, that two jobs of one job id never run together unless allowed, is checked where
a runner starts its first task.
"""

import logging

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from support.model.cluster import Cluster
from support.model.ends import Ends, is_at_rest

INDEX = st.integers(0, 7)
KINDS = st.sampled_from(["same", "same", "other"])
POLICIES = st.sampled_from(["Queue", "Queue", "Reject", "Allow"])
TTLS = st.sampled_from([None, None, 0, 90])
FATES = st.sampled_from(["answered", "answered", "answered", "lost", "fails"])


class Bugs(logging.Handler):
    """Collects what the controller survives but should never meet."""

    def __init__(self):
        super().__init__(logging.ERROR)
        self.records = []

    def emit(self, record):
        self.records.append(record)


class Invariants(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.cluster = Cluster()
        self.ends = Ends(self.cluster)
        self.bugs = Bugs()
        self.logger = logging.getLogger("factotum.controller")
        self.logger.addHandler(self.bugs)
        self.logger.propagate = False
        self.deletions = 0
        self.jobs = {}

    # --- what there is to choose from ---------------------------------------------

    @property
    def alive(self):
        return [r for r in self.cluster.runners.values() if r.alive]

    @property
    def running(self):
        return [r for r in self.alive if r.letters is not None and not r.final]

    @property
    def silent(self):
        return [r for r in self.alive if r.call is None]

    @property
    def arrived(self):
        return [c for c in self.cluster.calls if c.task is None]

    @property
    def answered(self):
        return [c for c in self.cluster.calls if c.task is not None and c.task.done()]

    @property
    def pods(self):
        return list(self.cluster.api.pods.values())

    def unstarted_pods(self):
        return [
            p
            for p in self.pods
            if p["metadata"]["uid"] not in self.cluster.boxes
            and "deletionTimestamp" not in p["metadata"]
        ]

    # --- the ordinary course of things ------------------------------------------------

    @initialize(
        workers=st.integers(1, 2),
        crowd=st.lists(st.tuples(KINDS, POLICIES), min_size=1, max_size=3),
        is_claimed=st.booleans(),
        limit=st.sampled_from([0, 0, 1, 2]),
        mode=st.sampled_from(["Resume", "Restart"]),
        ttl=TTLS,
    )
    def begin(self, workers, crowd, is_claimed, limit, mode, ttl):
        self.cluster.workers = workers
        spec = {"retry": {"limit": limit, "backoffSeconds": 10, "mode": mode}}
        spec |= {} if ttl is None else {"ttlSecondsAfterFinished": ttl}
        for index, (kind, policy) in enumerate(crowd):
            self.jobs[f"job-{index}"] = kind, policy
            self.cluster.create_job(f"job-{index}", kind=kind, policy=policy, **spec)
        self.cluster.start_controller()
        if is_claimed:
            self.settle()

    @precondition(lambda self: self.cluster.pending)
    @rule(index=INDEX, fate=FATES)
    def serve(self, index, fate):
        self.cluster.serve(self.cluster.pending[index % len(self.cluster.pending)], fate)

    @rule(kind=st.sampled_from(["jobs", "pods"]), batched=st.booleans())
    def deliver(self, kind, batched):
        self.cluster.deliver(kind, batched=batched)

    @rule()
    def settle(self):
        """Everybody gets on with what is at hand; no time passes."""
        for _ in range(50):
            busy = False
            while self.cluster.pending:
                self.cluster.serve(self.cluster.pending[0])
                busy = True
            while self.cluster.deliver("jobs", batched=True) or self.cluster.deliver(
                "pods", batched=True
            ):
                busy = True
            for pod in self.unstarted_pods():
                self.cluster.start_process(pod)
                busy = True
            for runner in self.silent:
                if runner.letters is None:
                    self.cluster.ask(runner)
            for call in self.arrived:
                self.cluster.take(call)
                busy = busy or call.task is not None
            for call in self.answered:
                self.cluster.answer(call)
                busy = True
            if not busy:
                return

    @precondition(lambda self: self.unstarted_pods())
    @rule(index=INDEX)
    def start_pod(self, index):
        pods = self.unstarted_pods()
        self.cluster.start_process(pods[index % len(pods)])

    @precondition(lambda self: self.silent)
    @rule(index=INDEX)
    def ask(self, index):
        self.cluster.ask(self.silent[index % len(self.silent)])

    @precondition(lambda self: self.arrived)
    @rule(index=INDEX)
    def take(self, index):
        self.cluster.take(self.arrived[index % len(self.arrived)])

    @precondition(lambda self: self.answered)
    @rule(index=INDEX, lost=st.booleans())
    def answer(self, index, lost):
        self.cluster.answer(self.answered[index % len(self.answered)], lost=lost)

    @precondition(lambda self: self.running)
    @rule(index=INDEX, succeeds=st.sampled_from([True, True, True, False]))
    def step(self, index, succeeds):
        self.cluster.step(self.running[index % len(self.running)], succeeds=succeeds)

    @precondition(lambda self: self.running)
    @rule(index=INDEX, removed=st.booleans())
    def run_through(self, index, removed):
        """A runner does all its tasks, tells nobody and ends; its Pod may go at once, too."""
        runner = self.running[index % len(self.running)]
        while not runner.final:
            self.cluster.step(runner)
        self.cluster.exit(runner)
        box = self.cluster.boxes[runner.pod["metadata"]["uid"]]
        if box.over:
            self.cluster.end_pod(box)
            pod = self.cluster.api.pod_of(runner.pod["metadata"]["uid"])
            if removed and pod is not None:
                self.cluster.remove_pod(pod)

    @precondition(lambda self: any(r.final for r in self.alive))
    @rule(index=INDEX)
    def exit(self, index):
        """A finished runner ends, whether anybody knows its verdict or not."""
        finished = [r for r in self.alive if r.final]
        self.cluster.exit(finished[index % len(finished)])

    @precondition(lambda self: any(b.over for b in self.cluster.boxes.values()))
    @rule(index=INDEX)
    def end_pod(self, index):
        over = [b for b in self.cluster.boxes.values() if b.over]
        self.cluster.end_pod(over[index % len(over)])

    @rule(seconds=st.sampled_from([1.0, 6.0, 31.0, 61.0, 901.0]))
    def pass_time(self, seconds):
        self.cluster.pass_time(seconds)

    # --- what goes wrong ------------------------------------------------------------

    @precondition(lambda self: self.cluster.controller is not None)
    @rule()
    def kill_controller(self):
        self.cluster.kill_controller()

    @precondition(lambda self: self.cluster.controller is None)
    @rule()
    def start_controller(self):
        self.cluster.start_controller()

    @precondition(lambda self: any(r.call for r in self.alive))
    @rule(index=INDEX)
    def stop_waiting(self, index):
        """A runner asks no more for this answer; its request may still arrive, late."""
        waiting = [r for r in self.alive if r.call]
        waiting[index % len(waiting)].call = None

    @precondition(lambda self: self.alive)
    @rule(index=INDEX)
    def kill_runner(self, index):
        self.cluster.kill(self.alive[index % len(self.alive)])

    @precondition(lambda self: self.pods)
    @rule(index=INDEX)
    def delete_pod(self, index):
        self.cluster.delete_pod(self.pods[index % len(self.pods)])

    @precondition(lambda self: self.unstarted_pods())
    @rule(index=INDEX)
    def keep_pod_from_starting(self, index):
        pods = self.unstarted_pods()
        self.cluster.keep_from_starting(pods[index % len(pods)])

    @precondition(lambda self: self.pods)
    @rule(index=INDEX, zombie=st.booleans())
    def remove_pod(self, index, zombie):
        """A Pod is deleted by force; its processes may go on for a while."""
        pod = self.pods[index % len(self.pods)]
        self.cluster.remove_pod(pod)
        box = self.cluster.boxes.get(pod["metadata"]["uid"])
        if box is not None and not zombie:
            for runner in box.runners:
                self.cluster.kill(runner)

    @precondition(lambda self: self.alive)
    @rule(index=INDEX)
    def evict_pod(self, index):
        box = self.cluster.boxes[self.alive[index % len(self.alive)].pod["metadata"]["uid"]]
        box.evicted = True
        for runner in box.runners:
            self.cluster.kill(runner)
        self.cluster.end_pod(box)

    @precondition(lambda self: self.alive)
    @rule(index=INDEX)
    def start_second_process(self, index):
        self.cluster.start_process(self.alive[index % len(self.alive)].pod)

    @precondition(lambda self: self.cluster.api.jobs and self.deletions < 2)
    @rule(index=INDEX, again=st.sampled_from([True, True, False]))
    def delete_job(self, index, again):
        self.deletions += 1
        names = list(self.cluster.api.jobs)
        name = names[index % len(names)]
        self.cluster.delete_job(name)
        if again:
            kind, policy = self.jobs[name]
            self.cluster.create_job(name, kind=kind, policy=policy)

    @precondition(lambda self: self.pods)
    @rule(index=INDEX, what=st.sampled_from(["label", "owner"]))
    def strip_pod(self, index, what):
        """Somebody takes our label or the owner off a Pod."""
        self.cluster.strip(self.pods[index % len(self.pods)], what)

    @precondition(lambda self: self.cluster.api.jobs and self.deletions < 2)
    @rule(index=INDEX)
    def delete_job_with_finalizer(self, index):
        """A job is deleted, but somebody's finalizer keeps it."""
        self.deletions += 1
        names = list(self.cluster.api.jobs)
        self.cluster.keep_deleted(names[index % len(names)])

    # --- what people ask for ----------------------------------------------------------

    @precondition(lambda self: self.cluster.api.jobs)
    @rule(index=INDEX, desired=st.sampled_from(["Run", "Run", "Suspend", "Cancel"]))
    def order(self, index, desired):
        names = list(self.cluster.api.jobs)
        self.cluster.order(names[index % len(names)], desired)

    @precondition(lambda self: self.running)
    @rule(desired=st.sampled_from(["Run", "Suspend", "Cancel"]), begins=st.booleans())
    def order_what_runs(self, desired, begins):
        """A job that runs a task gets an order, and its runner the time to hear of it."""
        runner = self.running[0]
        if begins and not runner.stopping:
            self.cluster.step(runner)
        job = self.cluster.api.job_of(self.cluster.api.made_for[runner.pod["metadata"]["uid"]])
        if job is not None:
            self.cluster.order(job["metadata"]["name"], desired)
        self.beat()

    @rule()
    def beat(self):
        """Ten seconds pass, in which every runner says something."""
        self.settle()
        self.cluster.pass_time(10.0)
        for runner in self.silent:
            self.cluster.ask(runner)
        self.settle()

    @precondition(lambda self: self.cluster.api.jobs)
    @rule(index=INDEX, value=st.sampled_from("ab"))
    def ask_for_another_attempt(self, index, value):
        names = list(self.cluster.api.jobs)
        self.cluster.annotate(names[index % len(names)], value)

    # --- I4 ---------------------------------------------------------------------------

    def teardown(self):
        try:
            if self.cluster.controller is None:
                self.cluster.start_controller()
            self.recover()
            self.check_bugs()
        finally:
            self.logger.removeHandler(self.bugs)
            self.logger.propagate = True
            self.cluster.close()

    def check_bugs(self):
        for record in self.bugs.records:
            raise AssertionError(record.getMessage()) from (record.exc_info or (None, None))[1]

    def recover(self):
        """Let everything work again, and everybody get on until all is over."""
        self.cluster.calls = [c for c in self.cluster.calls if c.task or c.runner.alive]
        self.settle()
        promised = self.ends.promised()
        for _ in range(40):
            self.settle()
            for runner in self.alive:
                if runner.letters is not None and not runner.final:
                    self.cluster.step(runner)
            for runner in self.silent:
                self.cluster.ask(runner)
            self.settle()
            for runner in self.alive:
                if runner.final and (runner.told or runner.dismissed or runner.stopping):
                    self.cluster.exit(runner)
            self.play_kubelet()
            self.settle()
            if self.is_over():
                break
            self.cluster.pass_time(61.0)
        self.ends.check(promised)

    def play_kubelet(self):
        api = self.cluster.api
        for pod in self.pods:
            if "deletionTimestamp" in pod["metadata"]:
                uid = pod["metadata"]["uid"]
                self.cluster.tell_to_stop(uid)
                if uid not in self.cluster.boxes:
                    self.cluster.remove_pod(pod)
            owner = api.made_for[pod["metadata"]["uid"]]
            if api.job_of(owner) is None:
                self.cluster.collect_garbage(owner)
        for box in self.cluster.boxes.values():
            if box.over:
                self.cluster.end_pod(box)

    def is_over(self):
        jobs = self.cluster.api.jobs.values()
        return all(is_at_rest(j) for j in jobs) and not self.alive


TestInvariants = Invariants.TestCase
TestInvariants.settings = settings(
    max_examples=120,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
