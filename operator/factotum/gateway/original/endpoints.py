"""The endpoints: what each of them answers."""

import asyncio
import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from factotum.gateway.original import bodies
from factotum.gateway.original.answers import Answer, message, refusal
from factotum.jobs.errors import BackendAwayError, JobsError
from factotum.jobs.service import JobService

logger = logging.getLogger(__name__)

VERSION: Final = "0.3.0"
_LARGE_BYTES: Final = 64 * 1024
_STATES: Final = ("run", "drain")

HELP: Final = {
    "/check": {
        "function": "Fetches the state of a job by the ID.",
        "params": "pretty=1, id=[id string]",
    },
    "/help": {"function": "Returns this message!", "params": "pretty=1"},
    "/settings": {
        "body": {"state": "run|drain"},
        "function": "Updates settings within the server.",
        "params": "pretty=1",
    },
    "/status": {
        "function": "Returns general information about the server and host system.",
        "params": "pretty=1",
    },
    "/submit": {
        "body": {
            "factfileArgs": "[ --start step-2 ]",
            "factfilePath": "/com.acme-main/factfile",
            "jobName": "com.acme-main",
        },
        "function": "Submits a job to the queue.",
        "params": "pretty=1",
    },
}


class Endpoints:
    """Answers what the original answers.

    Args:
        service: does it.
    """

    def __init__(self, service: JobService) -> None:
        self._service = service
        self._started = datetime.now(UTC)
        self._began = time.monotonic()

    def help(self) -> Answer:
        """Answer ``/`` and ``/help``."""
        return Answer(body=HELP)

    def status(self) -> Answer:
        """Answer ``/status``; waits for nothing."""
        load = self._service.load()
        minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
        hours, minutes = divmod(minutes, 60)
        days, hours = divmod(hours, 24)
        return Answer(
            body={
                "version": VERSION,
                "server": {
                    "startTime": self._started.strftime("%Y-%m-%d %H:%M:%S UTC"),
                    "upTime": f"{days} Days, {hours} Hours, {minutes} Minutes, {seconds} Seconds",
                    "state": _STATES[self._service.draining],
                },
                "dispatcher": {
                    "workers": {
                        "total": load.workers,
                        "idle": load.workers - load.active,
                        "active": load.active,
                    },
                    "jobs": {"maxQueueSize": load.max_waiting, "inQueue": load.waiting},
                },
            }
        )

    def settings(self, payload: bytes) -> Answer:
        """Answer ``/settings``."""
        try:
            state = bodies.read_state(payload)
        except bodies.BodyError as error:
            return message(f"Error decoding JSON string: {error}", 400)
        if state not in _STATES:
            text = "Validation Error: Invalid 'state', must be one of (run|drain)"
            return message(text, 400)
        self._service.draining = state == "drain"
        text = f"Update acknowledged: [state: {state}]"
        logger.info("%s", text)
        return message(text)

    async def submit(self, payload: bytes) -> Answer:
        """Answer ``/submit``."""
        try:
            if len(payload) > _LARGE_BYTES:
                submission = await asyncio.to_thread(bodies.read_submission, payload)
            else:
                submission = bodies.read_submission(payload)
        except bodies.BodyError as error:
            return message(f"Error decoding JSON string: {error}", 400)
        try:
            job = await self._service.submit(submission)
        except JobsError as error:
            return refusal(error)
        text = f"SUBMITTING JOB REQ jobId:[{job.job_id}]"
        logger.info("%s", text)
        return message(text)

    async def check(self, query: Mapping[str, str]) -> Answer:
        """Answer ``/check``."""
        job_id = query.get("id")
        if job_id is None:
            return message("Error: No 'id' found in URL query parameters", 400)
        try:
            entry = await self._service.entry(job_id)
        except BackendAwayError as error:
            return refusal(error)
        except JobsError as error:
            return message(f"Error: {error}", 400, log=str(error))
        if entry is None:
            logger.debug("No state found for job entry id='%s'", job_id)
            return message(f"Error: No job entry found for id='{job_id}'", 400)
        logger.debug("Job entry id='%s' state='%s'", job_id, entry.state)
        document: dict[str, Any] = entry.document()
        return Answer(body=document)
