"""Jobs whose tasks write down each of their runs, so that a second run cannot go unseen."""

from collections import Counter
from pathlib import Path
from typing import Any

from support.builders.manifests import make_factfile, make_task


class RunBook:
    """A file to which tasks add a line when they begin."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()

    def note(self, job: str, task: str) -> str:
        """Give the shell command that writes a run down; one short write is never torn."""
        return f"echo '{job} {task}' $(date +%s.%N) >> '{self.path}'"

    def first_starts(self) -> dict[str, float]:
        """Give the moment at which each job's first task began."""
        found: dict[str, float] = {}
        for line in self.path.read_text().splitlines():
            job, _, moment = line.split()
            found.setdefault(job, float(moment))
        return found

    def counts(self) -> Counter[tuple[str, str]]:
        """Count the runs by job and task."""
        lines = self.path.read_text().splitlines()
        return Counter((line.split()[0], line.split()[1]) for line in lines)

    def twice(self) -> list[tuple[str, str]]:
        """Give the tasks that ran more than once."""
        return [key for key, count in self.counts().items() if count > 1]

    def task(self, job: str, name: str, *after: str, then: str = "true", **more: Any) -> Any:
        """Build a task that writes itself down and goes on with another command."""
        fields = {"command": f"{self.note(job, name)}; {then}", "arguments": []} | more
        return make_task(name, *after, **fields)

    def chain(self, job: str, *commands: str) -> Any:
        """Build a factfile of tasks t1, t2 ... one after the other."""
        tasks = []
        for number, command in enumerate(commands, start=1):
            after = (f"t{number - 1}",) if number > 1 else ()
            tasks.append(self.task(job, f"t{number}", *after, then=command))
        return make_factfile(data={"name": job, "tasks": tasks})
