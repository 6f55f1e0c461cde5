"""Killing a server while it works, and what its jobs have written down meanwhile."""

import contextlib
import random
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.server.forking import Zygote
from support.server.running import Server, factfile, job_id_of


def submit_surely(server: Server, document: Mapping[str, Any], path: Path, number: int) -> None:
    """Submit a job once, whatever becomes of the server meanwhile."""
    job_id = job_id_of(document, n=str(number))
    while True:
        try:
            server.submit(path, ["--tag", f"n,{number}"])
        except (OSError, ValueError, AssertionError):
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
) -> list[int]:
    """Submit jobs, kill the server meanwhile, and return what their tasks wrote down.

    Args:
        pauses: seconds between two kills, from and to.
    """
    document = factfile("sh")
    line = f"echo {{{{tag:n}}}} >> {folder}/ran"
    document["data"]["tasks"][0]["arguments"] = ["-c", line]
    with Server(zygote, folder, f"--max-workers={workers}", f"--max-jobs={jobs}") as server:
        path = server.write("job.factfile", document)

        def kill_and_start() -> None:
            chance = random.Random(1)  # noqa: S311 - moments, not secrets
            for _ in range(kills):
                time.sleep(chance.uniform(*pauses))
                server.end(signal.SIGKILL)
                server.start()

        killer = threading.Thread(target=kill_and_start)
        killer.start()
        for number in range(jobs):
            submit_surely(server, document, path, number)
        killer.join()
        for number in range(jobs):
            entry = server.wait_for(job_id_of(document, n=str(number)), seconds=120)
            assert entry["lastOutcome"] == "SUCCEEDED", entry
        assert server.status()["dispatcher"]["jobs"]["inQueue"] == 0
    return [int(line) for line in (folder / "ran").read_text().split()]
