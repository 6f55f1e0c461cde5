"""Killing a server while it works, and what its jobs have written down meanwhile."""

import contextlib
import random
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.disks import fill
from support.server.forking import Zygote
from support.server.running import Server, factfile, job_id_of

_FULL_SECONDS = 60.0


def submit_surely(
    server: Server, document: Mapping[str, Any], path: Path, number: int, refusals: list[int]
) -> None:
    """Submit a job once, whatever becomes of the server meanwhile.

    Args:
        refusals: counted up, in its only element, each time that the server says no.
    """
    job_id = job_id_of(document, n=str(number))
    while True:
        try:
            server.submit(path, ["--tag", f"n,{number}"])
        except (OSError, ValueError, AssertionError) as error:
            refusals[0] += isinstance(error, AssertionError)
            # It may have been accepted all the same, and may even have ended by now: who would
            # ask twice must look first, and until somebody answers.
            if _is_known(server, job_id):
                return
        else:
            return


def _is_known(server: Server, job_id: str) -> bool:
    while True:
        with contextlib.suppress(OSError, ValueError):
            answer = server.ask(f"/check?id={job_id}")
            if answer.status is not None:
                return answer.status == 200
        time.sleep(0.02)


def killed_while_working(
    zygote: Zygote,
    folder: Path,
    *,
    jobs: int,
    workers: int,
    kills: int,
    pauses: tuple[float, float] = (0.1, 0.6),
    disk: Path | None = None,
) -> list[int]:
    """Submit jobs, kill the server meanwhile, and return what their tasks wrote down.

    Args:
        pauses: seconds between two kills, from and to.
        disk: a small one, where the server keeps its data; it gets full once on the way, until a
            job was refused.
    """
    refusals = [0]
    is_full = threading.Event()
    document = factfile("sh")
    line = f"echo {{{{tag:n}}}} >> {folder}/ran"
    document["data"]["tasks"][0]["arguments"] = ["-c", line]
    options = [f"--max-workers={workers}", f"--max-jobs={jobs}"]
    with Server(zygote, folder, *options, data=disk) as server:
        path = server.write("job.factfile", document)

        def kill_and_start() -> None:
            chance = random.Random(1)  # noqa: S311 - moments, not secrets
            for kill in range(kills):
                time.sleep(chance.uniform(*pauses))
                server.end(signal.SIGKILL)
                server.start()
                if disk is not None and kill == kills // 2:
                    _have_full(disk, refusals, is_full)

        killer = threading.Thread(target=kill_and_start)
        killer.start()
        for number in range(jobs):
            if disk is not None and number == jobs * 3 // 4:
                assert is_full.wait(_FULL_SECONDS), "the disk was never full"
            submit_surely(server, document, path, number, refusals)
        killer.join()
        assert disk is None or refusals[0], "the full disk disturbed nobody"
        for number in range(jobs):
            entry = server.wait_for(job_id_of(document, n=str(number)), seconds=120)
            assert entry["lastOutcome"] == "SUCCEEDED", entry
        assert server.status()["dispatcher"]["jobs"]["inQueue"] == 0
    return [int(line) for line in (folder / "ran").read_text().split()]


def _have_full(disk: Path, refusals: list[int], is_full: threading.Event) -> None:
    """Have a disk full until a job was refused since."""
    before, deadline = refusals[0], time.monotonic() + _FULL_SECONDS
    filler = fill(disk)
    is_full.set()
    while refusals[0] == before and time.monotonic() < deadline:
        time.sleep(0.01)
    filler.unlink()
