"""Several jobs on one ``Stage``, each told by its name, which is its UID as well."""

from typing import Any

from factotum.controller.claims.judging import Answer
from factotum.kube import names, paths
from factotum.kube.api import RawObject
from factotum.kube.resource import JobUid
from support.builders.jobs import identity_of, make_claim, raw_job
from support.model.stage import NAMESPACE, SPEC, Stage


class Crowd(Stage):
    """Jobs of one job id, in the order of their creation; nothing happens by itself."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**({"workers": 5} | options))
        self._made = 0

    def make(self, *who: str, policy: str = "Queue", **fields: Any) -> None:
        """Make jobs."""
        for name in who:
            self._made += 1
            raw = raw_job(
                name=name,
                uid=name,
                spec=SPEC | {"duplicatePolicy": policy},
                creationTimestamp=_moment(self._made),
                **fields,
            )
            self.sees(self.api.put(paths.job(NAMESPACE, name), raw))

    async def looks(self, *who: str) -> None:
        """Look at jobs, one after the other, until nothing more is written."""
        for name in who:
            for _ in range(5):
                if all(words.startswith("GET") for words in await self.look(JobUid(name))):
                    break

    def says(self, name: str) -> tuple[str, str]:
        """Return a job's reason and message."""
        stored = self.api.stored(paths.job(NAMESPACE, name))
        assert stored is not None
        status = stored["status"]
        return status.get("reason", ""), status.get("message", "")

    def pod_of(self, name: str, launch: int = 1) -> RawObject | None:
        """Return a job's Pod."""
        return self.api.stored(_pod(name, launch))

    def have_pod(self, name: str, status: RawObject | None = None, **metadata: Any) -> None:
        """Change a job's Pod, and have the watch tell of it."""
        pod = self.pod_of(name)
        assert pod is not None
        pod["metadata"] |= metadata
        pod["spec"] |= {"nodeName": "node-a"}
        pod["status"] = status or {"phase": "Running"}
        self.cache.put_pod(self.api.put(_pod(name), pod))

    def end_pod(self, name: str) -> None:
        """Have a job's Pod end."""
        self.have_pod(name, {"phase": "Succeeded"})

    def remove(self, name: str) -> None:
        """Delete a job; its Pod is there still."""
        self.api.remove(paths.job(NAMESPACE, name))
        self.cache.drop_job(JobUid(name))

    async def claim(self, name: str, launch: int = 1) -> Answer:
        """Have the runner in a job's Pod claim."""
        pod = self.pod_of(name, launch)
        assert pod is not None
        request = make_claim(name, launch=launch, claim_id=f"{name:x<32}")
        return await self.desk.claim(request, identity_of(pod))

    async def at_work(self, name: str, policy: str = "Queue") -> None:
        """Have a job at work in its Pod."""
        self.make(name, policy=policy)
        await self.looks(name)
        self.have_pod(name)
        await self.claim(name)

    async def anew(self, **options: Any) -> "Crowd":
        """Return another controller on the same API server, started and not yet at work."""
        after = Crowd(api=self.api, **options)
        await after.parts.sources.read_everything()
        after.reconciler.start()
        return after


def _pod(name: str, launch: int = 1) -> paths.Path:
    return paths.pod(NAMESPACE, names.pod_name(name, name, 1, launch))


def _moment(number: int) -> str:
    minutes, seconds = divmod(number, 60)
    return f"2026-03-01T11:{minutes:02}:{seconds:02}Z"
