"""Runs a plan on a world to its end, and gathers what is to be judged.

Patience is measured by what moves: nobody is given up while jobs or Pods still change.
"""

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self

from chaos import acts, recording, remains
from chaos.behaviours import Act, Job
from chaos.history import Fresh, History
from chaos.plan import WORKERS, Disturbance, Plan
from chaos.recording import Fact
from chaos.scene import Scene
from chaos.world import World
from support.builders.manifests import make_factfile, make_job, make_task
from support.cluster.kube_api import jobs_path

STILL_SECONDS = 200.0
"""Without any change, nothing more is waited for: longer than a sweep and a lost Pod take."""
_WINDOW = 3 * WORKERS
"""How many jobs are there unfinished at once."""
_LOOK_SECONDS = 0.05
DEPOSED = "this replica does not lead any more"
"""What an operator says last that must end, since another one leads by now."""
_MEMORY_SECONDS = 1.0


class Driver:
    """Runs one plan. Use as a context manager."""

    def __init__(self, plan: Plan, world: World) -> None:
        self.plan = plan
        self.world = world
        self._pool = ThreadPoolExecutor(64, thread_name_prefix="chaos")
        self._running: list[Future[None]] = []
        self._lock = threading.Lock()
        self._due: dict[str, list[Act]] = {j.name: plan.acts_on(j) for j in plan.jobs}
        self._whole = list(plan.whole)
        self._created = 0
        self._peak = 0.0
        self._ending = threading.Event()
        self.scene = Scene(world, self._reached)

    def __enter__(self) -> Self:
        self.scene.__enter__()
        self._pool.submit(self._watch_operator)
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self.scene.__exit__()

    def run(self) -> History:
        """Run it all and gather what came of it."""
        for job in self.plan.jobs:
            self._until(lambda: self._created - self._ended() < _WINDOW)
            self._create(job)
        all_ended = self._until(lambda: self._created - self._ended() == 0)
        self._disturb(is_over=True)
        for done in list(self._running):
            done.result()
        self.world.clear_up()
        # What came at the very end may have moved some again.
        all_ended = self._until(self._is_at_rest) and all_ended
        self._until(self._is_tidy)
        entries = self._settled_entries()
        fresh = self._fresh() if all_ended else None
        self._ending.set()
        return self._history(entries, fresh)

    # --- while it runs --------------------------------------------------------------

    def _ended(self) -> int:
        return self._created - len(self.scene.unfinished())

    def _until(self, condition: Callable[[], bool]) -> bool:
        """Wait, doing what is due meanwhile; False if nothing moves any more."""
        self.scene.moved = time.monotonic()
        while not condition():
            self._disturb(is_over=False)
            if time.monotonic() - self.scene.moved > STILL_SECONDS:
                return False
            time.sleep(_LOOK_SECONDS)
        return True

    def _create(self, job: Job) -> None:
        manifest = job.manifest(self.world.namespace, str(self.world.record))
        path = jobs_path(self.world.namespace)
        made = self.world.request("POST", path, manifest)
        if made is None:  # it was made by a request whose answer was lost
            made = self.world.request("GET", f"{path}/{job.name}")
        if made is not None:
            uid = made["metadata"]["uid"]
            self.world.names[uid] = job.name
            if any(act.phase == "seen" for act in self._due[job.name]):
                self.world.held_back.add(uid)
            self.scene.jobs.present.add(uid)
            self.scene.jobs.objects.setdefault(uid, made)
        self._created += 1

    def _disturb(self, *, is_over: bool) -> None:
        """Do what is due by now to the whole."""
        so_far = (self._created + self._ended()) / (2 * len(self.plan.jobs))
        while self._whole and (is_over or self._whole[0].after <= so_far):
            self._submit(self._do_whole, self._whole.pop(0))

    def _reached(self, job: str, phases: set[str]) -> None:
        """Do what is due by now to one job. Called by whoever follows jobs and Pods."""
        with self._lock:
            due = next((act for act in self._due.get(job, ()) if act.phase in phases), None)
            if due is None:
                return
            self._due[job].remove(due)
        self._submit(self._do_single, due)

    def _submit(self, function: Callable[..., None], what: object) -> None:
        with contextlib.suppress(RuntimeError):  # the end has come
            self._running.append(self._pool.submit(function, what))

    def _do_whole(self, one: Disturbance) -> None:
        time.sleep(one.delay)
        self.world.journal.note(one.kind, detail=f"{one.seconds} s")
        acts.WHOLE[one.kind](self.scene, one)

    def _do_single(self, act: Act) -> None:
        time.sleep(act.delay)
        began = time.time()
        if acts.SINGLE[act.kind](self.scene, act):
            self.world.journal.note(act.kind, [act.job], f"{act.phase}, begun {began:.3f}")
        uid = next((u for u, name in self.world.names.copy().items() if name == act.job), "")
        job = self.scene.jobs.objects.get(uid)
        if job is not None and uid in self.scene.jobs.present:
            # What waits for it may be due already.
            self._reached(act.job, self.scene.phases(job))

    def _watch_operator(self) -> None:
        """Start operators again that end by themselves, as a kubelet does; note their memory."""
        while not self._ending.wait(_MEMORY_SECONDS):
            for operator in self.world.operators:
                with contextlib.suppress(OSError, AssertionError):
                    self._peak = max(self._peak, _mebibytes(operator.pid))
                with self.world.locks["operator"]:
                    if operator.has_ended() and not self._ending.is_set():
                        is_deposed = DEPOSED in operator.last_lines()
                        self.world.journal.note(
                            "operator deposed" if is_deposed else "operator ended by itself"
                        )
                        operator.kill()
                        operator.start()

    # --- afterwards -----------------------------------------------------------------

    def _is_at_rest(self) -> bool:
        """Whether every job is DONE, and those that were told to go on have done so."""
        told = {name for e in self.world.journal.entries if e.kind == "resume" for name in e.jobs}
        waiting = [
            job
            for job in self.scene.jobs.now()
            if job["metadata"]["name"] in told and job["status"].get("attempt", 1) < 2
        ]
        return not self.scene.unfinished() and not waiting

    def _is_tidy(self) -> bool:
        """Whether every Pod has ended, and those go whose job is gone."""
        present = {job["metadata"]["name"] for job in self.scene.jobs.now()}
        left = [p for p in self.scene.pods.now() if self.scene.job_of(p) not in present]
        orphans = remains.left_on_purpose(self.world.journal.entries)
        strange = [pod for pod in left if self.scene.job_of(pod) not in orphans]
        return not strange and not self.scene.living_pods()

    def _settled_entries(self) -> dict[str, dict[str, object]]:
        """Wait until every entry in Consul is right, or wrong ones do not change any more."""
        entries: dict[str, dict[str, object]] = {}
        before, since = -1, time.monotonic()
        while True:
            with contextlib.suppress(OSError):
                entries = self.world.entries()
            wrong = len(remains.wrong_entries(self.plan, self.scene.jobs.now(), entries))
            if wrong == 0 or time.monotonic() - since > 60:
                return entries
            if wrong != before:
                before, since = wrong, time.monotonic()
            time.sleep(0.2)

    def _fresh(self) -> Fresh:
        """Fill every worker with jobs that wait for each other, and one more."""
        gate = self.world.folder / "gate"
        names = [f"fresh-{number}" for number in range(1, WORKERS + 2)]
        for name in names:
            arguments = [str(self.world.record), f"{name}.", "t1", str(gate), "0", "143"]
            task = make_task("t1", command=str(recording.SCRIPT), arguments=arguments)
            factfile = make_factfile(data={"name": name, "tasks": [task]})
            job = make_job(self.world.namespace, factfile, name=name)
            self.world.request("POST", jobs_path(self.world.namespace), job)
        self._until_still(lambda: self._started(names) >= WORKERS)
        time.sleep(1)
        together = self._started(names)
        gate.touch()
        self._until(lambda: not self.scene.unfinished() and self._is_tidy())
        return Fresh(wanted=WORKERS, together=min(together, WORKERS), beyond=together - WORKERS)

    def _until_still(self, condition: Callable[[], bool]) -> None:
        deadline = 60.0
        self.scene.moved = time.monotonic()
        while not condition() and time.monotonic() - self.scene.moved < deadline:
            time.sleep(0.1)

    def _started(self, names: list[str]) -> int:
        lines = self.world.lines()
        return len({line.job for line in lines if line.fact is Fact.STARTED and line.job in names})

    def _history(self, entries: dict[str, dict[str, object]], fresh: Fresh | None) -> History:
        lines = self.world.lines()
        logs = [operator.log.read_text(errors="replace") for operator in self.world.operators]
        return History(
            plan=self.plan,
            jobs=self.scene.jobs.now(),
            pods=self.scene.pods.now(),
            told={self._name_of(uid): told for uid, told in self.scene.told.items()},
            lines=lines,
            journal=self.world.journal.entries,
            entries=entries,
            log="".join(logs),
            fresh=fresh,
            still_running=[f"{x.pod}.{x.task}" for x in recording.still_running(lines)],
            peak_mebibytes=self._peak,
        )

    def _name_of(self, uid: str) -> str:
        return str(self.scene.jobs.objects[uid]["metadata"]["name"])


def _mebibytes(pid: int) -> float:
    """Give the most memory that a process has had."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0
