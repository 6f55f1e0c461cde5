"""Making the FactotumJob of a submission, once, whoever else does the same at the same moment.

The name is the job id's with the number of the run, so that of two servers one
is told that it exists (409). That decides in nearly every case. What is left
is a server whose view is older than a whole run, and a run that was deleted in
between: then the watch, which has one order for everybody, says who came later,
and that one takes its job back before anybody was told of it.
"""

import logging
import secrets
import time
from contextlib import suppress
from typing import Final

from factotum.jobs.errors import BackendError, DuplicateJobError
from factotum.jobs.kubernetes.objects import manifest, naming, records
from factotum.jobs.kubernetes.objects.submission import Submitted
from factotum.jobs.kubernetes.settings import ClusterSettings
from factotum.jobs.kubernetes.shelf import Shelf
from factotum.jobs.views import JobRequest
from factotum.kube import errors, paths
from factotum.kube.api import KubeApi, RawObject

logger = logging.getLogger(__name__)

_TRIES: Final = 20
_WATCH_SECONDS: Final = 3.0


class Creating:
    """Makes FactotumJobs.

    Args:
        api: the cluster.
        settings: where.
        shelf: the jobs that are known.
    """

    def __init__(self, api: KubeApi, settings: ClusterSettings, shelf: Shelf) -> None:
        self._api = api
        self._settings = settings
        self._shelf = shelf

    async def create(self, request: JobRequest, config_map: str) -> RawObject:
        """Make the FactotumJob of a request.

        Args:
            config_map: where its factfile is; empty: in the FactotumJob.

        Raises:
            DuplicateJobError: another job of its job id is open.
            RefusedByPolicyError: a FactotumJob cannot say what is asked for.
            KubeError: it was not made, or nobody knows.
        """
        submitted = Submitted.of(request, secrets.token_hex(8), time.time_ns() // 1_000_000)
        number = self._shelf.last_run(request.job_id) + 1
        for _ in range(_TRIES):
            body = manifest.job(
                request,
                submitted,
                namespace=self._settings.namespace,
                number=number,
                config_map=config_map,
                keep_seconds=self._settings.keep_seconds,
            )
            raw = await self._try(body, submitted)
            if raw is not None:
                await self._confirm(raw, request.job_id)
                return raw
            number = await self._next_number(request.job_id, number)
        raise BackendError(f"no name is free for another run of job {request.job_id}")

    async def _try(self, body: RawObject, submitted: Submitted) -> RawObject | None:
        """Make an object; None if there is one of its name."""
        metadata = body["metadata"]
        collection = paths.collection(paths.JOBS, metadata["namespace"])
        try:
            return await self._api.create(collection, body)
        except errors.AlreadyExistsError:
            return None
        except errors.UnreachableError:
            # It may have been made all the same: whoever asks again would be told that it is there.
            path = paths.job(metadata["namespace"], metadata["name"])
            try:
                raw = await self._api.get(path)
            except errors.KubeError:
                raw = None
            found = Submitted.read(raw) if raw is not None else None
            if raw is None or found is None or found.nonce != submitted.nonce:
                raise
            return raw

    async def _next_number(self, job_id: str, number: int) -> int:
        """Return the number to try after one that is taken.

        Raises:
            DuplicateJobError: by a job that is open.
        """
        path = paths.job(self._settings.namespace, naming.run_name(job_id, number))
        try:
            raw = await self._api.get(path)
        except errors.NotFoundError:
            return number  # it was deleted meanwhile
        record = records.read(raw)
        if record.view.job_id == job_id and record.is_open:
            raise DuplicateJobError(job_id)
        return number + 1

    async def _confirm(self, raw: RawObject, job_id: str) -> None:
        """Make sure that no other job of the same id was open when this one was made.

        Raises:
            DuplicateJobError: one was; this one is gone again.
        """
        metadata = raw["metadata"]
        has_rival = await self._shelf.has_rival(metadata["uid"], _WATCH_SECONDS)
        if has_rival is None:
            has_rival = await self._finds_rival(metadata["uid"], job_id)
        if not has_rival:
            return
        path = paths.job(metadata["namespace"], metadata["name"])
        logger.info("job %s is open already: %s is taken back", job_id, metadata["name"])
        with suppress(errors.NotFoundError):
            await self._api.delete(path, uid=metadata["uid"])
        raise DuplicateJobError(job_id)

    async def _finds_rival(self, uid: str, job_id: str) -> bool:
        """Ask the API server, since the watch is silent: here both of two may find each other."""
        collection = paths.collection(paths.JOBS, self._settings.namespace)
        async for page in self._api.pages(collection, selector=naming.selector(job_id)):
            for raw in page.items:
                record = records.read(raw)
                if record.uid != uid and record.is_open and record.view.job_id == job_id:
                    return True
        return False
