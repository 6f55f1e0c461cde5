"""A runner in this process, with real shells and pipes; its console is a pair of files."""

import os

from factotum.core.factfile.document import Factfile
from factotum.core.run.execution import Execution
from factotum.runner.console import Console
from factotum.runner.runner import Runner


class Diary:
    """A listener that writes down what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def run_created(self, execution):
        self.lines.append(f"created {execution.state}")

    def run_started(self, execution):
        running = " ".join(run.name for run in execution.running)
        self.lines.append(f"started {execution.state}: {running}")

    def tasks_started(self, _execution, runs):
        self.lines.append("tasks " + " ".join(run.name for run in runs))

    def task_finished(self, _execution, _run, transitions):
        moves = " ".join(f"{each.task_name}={each.current}" for each in transitions)
        self.lines.append(f"ended {moves}")

    def heartbeat(self, _execution, running):
        texts = " ".join(f"{run.name}:{run.output_text()}" for run in running)
        self.lines.append(f"beat {texts}")

    def run_finished(self, execution):
        self.lines.append(f"finished {execution.state}")


class Stage:
    """A runner and what it has written."""

    def __init__(self, folder, text, *, eager=False, **options):
        self._files = [(folder / name).open("w+b") for name in ("out", "err")]
        console = Console(
            colour=False, out_fd=self._files[0].fileno(), err_fd=self._files[1].fileno()
        )
        self.diary = Diary()
        self.execution = Execution(Factfile.parse(text, {}), eager=eager)
        options.setdefault("environ", os.environ)
        self.runner = Runner(
            self.execution, output=console, listeners=[self.diary], tail_characters=100, **options
        )

    def run(self):
        self.runner.run()
        return self

    def read(self, index):
        self._files[index].seek(0)
        return self._files[index].read().decode()

    @property
    def out(self):
        return self.read(0)

    @property
    def err(self):
        return self.read(1)

    def result(self, name):
        run = self.execution.find(name)
        return run.state, run.return_code, run.output_text(), run.stderr_text()
