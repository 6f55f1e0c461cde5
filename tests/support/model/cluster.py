"""A model of a cluster around the real controller: kubelet, runners, network, time.

Real: the reconciler with its queue, slots and decisions, the desk that takes
claims and reports, the store. Models: the API server (``api``), the
kubelet, the runner's protocol as ``factotum.pod`` speaks it, and the clock.
Nothing happens by itself: the test moves every part.
"""

import asyncio
from collections import Counter
from typing import Any

from factotum.controller.claims.judging import ClaimRequest, Denied, Granted, Later
from factotum.controller.claims.tokens import PodIdentity
from factotum.controller.clock import HeldClock
from factotum.core.wire import termination
from factotum.kube import errors, names
from support.builders import jobs
from support.model.api import NAMESPACE, Api, Request, watched
from support.model.controller import Controller
from support.model.exclusion import is_at_work, is_seen
from support.model.parts import Box, Call, Runner, VirtualLoop
from support.model.people import People

TASKS = 2


class Cluster(People):
    """Everything together; each method is one thing that may happen."""

    def __init__(self, workers: int = 1) -> None:
        clock = HeldClock(jobs.NOW)
        super().__init__(Api(self._truly_succeeded, self._runs_of, clock.now), clock, workers)
        self.loop = VirtualLoop()
        self.pending: list[Request] = []
        self.calls: list[Call] = []
        self.runners: dict[str, Runner] = {}
        self.starts: Counter[tuple[str, str]] = Counter()
        self.controller: Controller | None = None

    def _truly_succeeded(self, claim_id: str) -> bool:
        return self.runners[claim_id].succeeded

    def _runs_of(self, uid: str) -> list[str]:
        """Return the runners of a job that run tasks, or may start one, in a Pod that is there."""
        return [
            claim_id
            for claim_id, runner in self.runners.items()
            if runner.alive
            and runner.started
            and not runner.final
            and self.api.made_for[runner.pod["metadata"]["uid"]] == uid
            and self._is_seen(runner)
        ]

    def _is_seen(self, runner: Runner) -> bool:
        """Whether the API server has a runner's Pod, and has not been told that it ended."""
        raw = self.api.pod_of(runner.pod["metadata"]["uid"])
        return raw is not None and raw["status"]["phase"] not in ("Succeeded", "Failed")

    # --- API server and network -------------------------------------------------

    def delete_job(self, name: str) -> None:
        """Delete a job; the garbage collector deletes its Pods."""
        uid = self.api.jobs[name]["metadata"]["uid"]
        self.deleted_at[uid] = self.clock.monotonic()
        self.api.remove("jobs", name)
        self.collect_garbage(uid)

    def collect_garbage(self, uid: str) -> None:
        """Delete the Pods of a job that is gone."""
        for raw in list(self.api.pods.values()):
            if (
                self.api.made_for[raw["metadata"]["uid"]] == uid
                and raw["metadata"]["ownerReferences"]
            ):
                self.delete_pod(raw)

    def serve(self, request: Request, fate: str = "answered") -> None:
        """Serve a request: it is ``answered``, its answer is ``lost``, or it ``fails``."""
        self.pending.remove(request)
        makes_pod = request.method == "POST" and request.path.endswith("/pods")
        if fate != "fails":
            self._check_slots(request, makes_pod=makes_pod)
        try:
            at_work = self._at_work()
            result = None if fate == "fails" else self.api.handle(request)
            if request.method == "PATCH" and result and request.body.get("status", {}).get("claim"):
                self.exclusion.check(result["metadata"]["uid"], at_work)
            if makes_pod and result is not None:
                self._count(request, result["metadata"]["uid"])
        except errors.KubeError as exc:
            result = exc
        if not request.answer.done():
            if fate != "answered":
                request.answer.set_exception(errors.UnreachableError("no answer"))
            elif isinstance(result, errors.KubeError):
                request.answer.set_exception(result)
            else:
                request.answer.set_result(result)
        self.loop.drain()

    def deliver(self, kind: str, *, batched: bool = False) -> bool:
        """Deliver the next watch event; False if there is none.

        Args:
            batched: of several events of one object in a row only the last, as kopf does.
        """
        controller = self.controller
        if controller is None or controller.desk is None:
            return False
        events, cursor = self.api.events[kind], controller.cursors[kind]
        if cursor >= len(events):
            return False
        change, raw = events[cursor]
        while batched and cursor + 1 < len(events) and same(events[cursor + 1][1], raw):
            cursor += 1
            change, raw = events[cursor]
        controller.cursors[kind] = cursor + 1
        controller.take(kind, change, raw)
        self.loop.drain()
        return True

    # --- the controller -----------------------------------------------------------

    def start_controller(self) -> None:
        """Start a controller and let it read everything."""
        self.controller = Controller(self.loop, self.pending, self.api, self.clock, self.workers)
        self.loop.drain()
        while self.controller.desk is None:
            self.serve(next(r for r in self.pending if r.method == "LIST" and not r.answer.done()))

    def kill_controller(self) -> None:
        """Kill the controller: it forgets everything, its requests may still land."""
        assert self.controller is not None
        # The next one counts those that run, and of the others as many as there is room for.
        self.counts_until = dict.fromkeys(self.counts_until, self.clock.monotonic())
        self.controller.kill()
        self.controller = None
        for call in self.calls:
            call.task = None
        self.calls = [c for c in self.calls if c.runner.call is c]

    def pass_time(self, seconds: float) -> None:
        """Let time pass, for timers, memories and moments in statuses alike."""
        self.loop.moment += seconds
        self.clock.move(seconds)
        self.loop.call_soon(lambda: None)
        self.loop.drain()

    # --- Pods -----------------------------------------------------------------------

    def start_process(self, raw: dict[str, Any]) -> Runner:
        """Start a runner in a Pod: the first, or by mistake another one."""
        uid = raw["metadata"]["uid"]
        box = self.boxes.setdefault(uid, Box(raw))
        runner = Runner(raw, f"{len(self.runners) + 1:032}")
        self.runners[runner.claim_id] = runner
        box.runners.append(runner)
        stored = self.api.pod_of(uid)
        if stored is not None and stored["status"]["phase"] == "Pending":
            spec = stored["spec"] | {"nodeName": "node-a"}
            self.api.put("pods", stored | {"spec": spec, "status": {"phase": "Running"}})
        return runner

    def keep_from_starting(self, raw: dict[str, Any]) -> None:
        """Have the kubelet say that a Pod cannot start."""
        waiting = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
        status = {"name": names.RUNNER_CONTAINER, "state": waiting}
        stuck = {"phase": "Pending", "containerStatuses": [status]}
        self.api.put("pods", raw | {"spec": raw["spec"] | {"nodeName": "node-a"}, "status": stuck})
        # Others may have its worker as soon as that is known.
        self.counts_until[raw["metadata"]["uid"]] = self.clock.monotonic()

    def delete_pod(self, raw: dict[str, Any]) -> None:
        """Delete a Pod in good order: its processes are told to stop."""
        self.api.mark_deleted(raw)
        self.tell_to_stop(raw["metadata"]["uid"])

    def tell_to_stop(self, uid: str) -> None:
        """Send TERM to a Pod's processes."""
        for runner in self.boxes[uid].runners if uid in self.boxes else ():
            self.stop(runner)

    def remove_pod(self, raw: dict[str, Any]) -> None:
        """Remove a Pod's object at once; its processes may go on."""
        self.api.remove("pods", raw["metadata"]["name"])

    def end_pod(self, box: Box) -> None:
        """Have the kubelet tell of a Pod's end, and remove it if it was being deleted."""
        name = box.pod["metadata"]["name"]
        raw = self.api.pods.get(name)
        if raw is None or raw["metadata"]["uid"] != box.pod["metadata"]["uid"]:
            return
        terminated = {
            "exitCode": box.exit_code,
            "reason": "Error" if box.exit_code else "Completed",
            "message": box.log.decode(),
        }
        state = {"name": names.RUNNER_CONTAINER, "state": {"terminated": terminated}}
        phase = "Failed" if box.exit_code else "Succeeded"
        status = {"phase": phase, "containerStatuses": [state]}
        if box.evicted:
            status = {"phase": "Failed", "reason": "Evicted", "message": "out of disk"}
        if raw["status"] != status:
            if not box.evicted and watched(raw):
                box.ended_at = len(self.api.events["pods"])
            self.api.put("pods", raw | {"status": status})
        elif "deletionTimestamp" in raw["metadata"]:
            self.remove_pod(raw)

    # --- runners ----------------------------------------------------------------------

    def ask(self, runner: Runner) -> None:
        """Send the runner's claim, or its report."""
        payload = None if runner.letters is None else runner.report()
        runner.call = Call(runner, payload)
        self.calls.append(runner.call)

    def take(self, call: Call) -> None:
        """Have the controller begin to work on a request that arrived."""
        controller = self.controller
        if controller is None or controller.desk is None:
            return
        metadata = call.runner.pod["metadata"]
        identity = PodIdentity(
            namespace=NAMESPACE, pod_name=metadata["name"], pod_uid=metadata["uid"]
        )
        uid = self.api.made_for[metadata["uid"]]
        attempt = int(metadata["annotations"][names.ANNOTATION_ATTEMPT])
        if call.payload is None:
            launch = int(metadata["annotations"][names.ANNOTATION_LAUNCH])
            request = ClaimRequest(
                uid=uid, attempt=attempt, launch=launch, claim_id=call.runner.claim_id
            )
            answer = controller.desk.claim(request, identity)
        else:
            answer = controller.desk.report(uid, attempt, call.payload, identity)
        call.task = controller.spawn(_answered(answer))
        self.loop.drain()

    def answer(self, call: Call, *, lost: bool = False) -> None:
        """Bring an answer to its runner, if that still waits for it."""
        assert call.task is not None
        self.calls.remove(call)
        runner = call.runner
        if lost or runner.call is not call or not runner.alive:
            if runner.call is call:
                runner.call = None
            return
        runner.call = None
        result = call.task.result()
        if call.payload is None:
            self._claim_answered(runner, result)
        elif isinstance(result, Granted):
            runner.told = runner.told or call.payload.final
            if result.body["order"] == "stop":
                self.stop(runner)
        elif isinstance(result, Denied):
            assert result.status == 410, result
            runner.dismissed = True
            self.stop(runner)

    def _claim_answered(self, runner: Runner, answer: Any) -> None:
        if isinstance(answer, Denied):
            self._exit(runner, 75)
        elif isinstance(answer, Granted):
            kept = answer.body.get("kept")
            runner.letters = list(kept["states"]) if kept else ["W"] * TASKS
            self._check_kept(runner)
            # What has nothing left to do has its verdict at once.
            runner.final = not set(runner.letters) & {"W", "R"}
            self._write(runner)

    def _check_kept(self, runner: Runner) -> None:
        """Check that a runner is given no result that there never was."""
        uid = self.api.made_for[runner.pod["metadata"]["uid"]]
        before = [
            other.letters
            for other in self.runners.values()
            if other is not runner and self.api.made_for[other.pod["metadata"]["uid"]] == uid
        ]
        for index, letter in enumerate(runner.letters or ()):
            is_true = letter == "W" or any(b and b[index] == letter for b in before)
            assert is_true, f"I3: task {index} is kept and was never done"

    def step(self, runner: Runner, *, succeeds: bool = True) -> None:
        """Start the runner's next task, or end the one that runs."""
        letters = runner.letters
        assert letters is not None
        if not runner.started:
            runner.started = True
            metadata = runner.pod["metadata"]
            uid = self.api.made_for[metadata["uid"]]
            run = uid, metadata["annotations"][names.ANNOTATION_ATTEMPT]
            self.starts[run] += 1
            assert self.starts[run] == 1, "I1: an attempt's tasks were started twice"
            others = [other for other in self._runs_of(uid) if other != runner.claim_id]
            assert not others, "two attempts of a job run together"
        if "R" in letters:
            letters[letters.index("R")] = "S" if succeeds else "F"
            if not succeeds:
                letters[:] = ["K" if letter == "W" else letter for letter in letters]
        else:
            letters[letters.index("W")] = "R"
        runner.final = not set(letters) & {"W", "R"}
        self._write(runner)

    def _at_work(self) -> set[str]:
        """Return the UIDs of the jobs that are seen to be at work, or to have been claimed."""
        found = {
            job["metadata"]["uid"]
            for job in self.api.jobs.values()
            if job["status"].get("state") == "WORKING"
        }
        for runner in filter(is_at_work, self.runners.values()):
            pod = self.api.pod_of(runner.pod["metadata"]["uid"])
            if pod is not None and is_seen(pod):
                found.add(self.api.made_for[pod["metadata"]["uid"]])
        return found

    def stop(self, runner: Runner) -> None:
        """Tell a runner to stop: it ends its tasks, which failed then, whatever their codes."""
        if not runner.alive or runner.stopping or runner.final:
            return
        runner.stopping = True
        if runner.letters is None or not runner.started:
            box = self._box(runner)
            if runner.letters is not None or not box.log:
                box.log = termination.unstarted(runner.claim_id)
            self._exit(runner, 75)
            return
        runner.interrupted += runner.letters.count("R")
        runner.letters[:] = ["F" if letter == "R" else letter for letter in runner.letters]
        runner.final = True
        self._write(runner)

    def kill(self, runner: Runner) -> None:
        """Kill a runner: it says nothing any more."""
        self._exit(runner, 137)

    def exit(self, runner: Runner) -> None:
        """Let a runner that is finished end."""
        self._exit(runner, 0 if runner.succeeded else 2)

    def _exit(self, runner: Runner, code: int) -> None:
        runner.alive = False
        runner.call = None
        self._box(runner).exit_code = code

    def _write(self, runner: Runner) -> None:
        runner.sequence += 1
        report = runner.report()
        self._box(runner).log = termination.encode(
            claim_id=runner.claim_id,
            factfile_hash=jobs.DIGEST,
            sequence=report.sequence,
            final=report.final,
            interrupted=report.interrupted,
            states=report.states,
            codes={},
        )

    def _box(self, runner: Runner) -> Box:
        return self.boxes[runner.pod["metadata"]["uid"]]

    def close(self) -> None:
        """Let go of everything."""
        if self.controller is not None:
            self.controller.kill()
        self.loop.run_until_complete(asyncio.sleep(0))
        self.loop.close()


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two versions are of the same object."""
    return one["metadata"]["uid"] == other["metadata"]["uid"]


async def _answered(answer: Any) -> Any:
    """Answer as the server does: an API server that cannot be reached means later."""
    try:
        return await answer
    except errors.KubeError as exc:
        return Later(message=str(exc))
