"""The whole tree of errors that the core raises.

::

    FactotumError
    ├── FactfileError               the factfile cannot be used
    │   ├── FactfileSyntaxError     not JSON
    │   ├── SchemaError             JSON of another shape, all violations at once
    │   ├── TooLargeError           more than its reader can bear
    │   ├── TemplateError           a placeholder cannot be rendered
    │   ├── OnResultError           return codes without a way to go on, or with two
    │   └── DagError
    │       ├── DuplicateTaskError
    │       ├── SelfDependencyError
    │       └── UnknownDependencyError
    ├── EnvironmentFormatError      the text of --env
    ├── StartError                  the task to start from
    │   ├── UnknownStartError
    │   └── StartNotAllowedError
    └── VerdictError                a saved verdict that cannot be resumed

``str(error)`` is the detail text that the original prints after its prefix;
which prefix, stream and exit code is decided where the error is shown.
"""

from __future__ import annotations


class FactotumError(Exception):
    """Anything that this project reports to its user as an error."""


class FactfileError(FactotumError):
    """The factfile cannot be used as it is."""


class FactfileSyntaxError(FactfileError):
    """The text is not JSON."""

    def __init__(self, problem: str, line: int, column: int) -> None:
        super().__init__(f"invalid JSON - {problem} at line {line}, column {column}")
        self.problem = problem
        self.line = line
        self.column = column


class SchemaError(FactfileError):
    """The document does not have the shape of a factfile."""

    def __init__(self, violations: tuple[str, ...]) -> None:
        super().__init__("\n".join(violations))
        self.violations = violations


class TooLargeError(FactfileError):
    """It would be larger than what it is read for can bear."""

    def __init__(self, characters: int) -> None:
        super().__init__(f"its templates fill in more than {characters} characters")


class TemplateError(FactfileError):
    """A mustache template cannot be rendered."""

    def __init__(self, problem: str, template: str = "", place: str = "") -> None:
        text = f"{problem} in the template {shorten(template)}" if template else problem
        super().__init__(f"{place}: {text}" if place else text)
        self.problem = problem
        self.template = template
        self.place = place


class OnResultError(FactfileError):
    """A task's return codes contradict themselves or leave no way to go on."""

    def __init__(self, task: str, problem: str) -> None:
        super().__init__(f"the task '{task}' {problem}")
        self.task = task


class DagError(FactfileError):
    """The tasks do not form a graph that can be run."""

    def __init__(self, task: str, text: str) -> None:
        super().__init__(text)
        self.task = task


class DuplicateTaskError(DagError):
    """Two tasks have one name (after templating)."""

    def __init__(self, task: str) -> None:
        super().__init__(task, f"the task '{task}' is defined more than once")


class SelfDependencyError(DagError):
    """A task depends on itself."""

    def __init__(self, task: str) -> None:
        super().__init__(task, f"the task '{task}' cannot depend on itself")


class UnknownDependencyError(DagError):
    """A dependency is not defined before the task that names it."""

    def __init__(self, task: str, dependency: str) -> None:
        super().__init__(
            task,
            f"the task '{task}' depends on '{dependency}', which is not defined"
            " earlier in the factfile",
        )
        self.dependency = dependency


class EnvironmentFormatError(FactotumError):
    """The text given as the environment is not a JSON object of strings."""

    def __init__(self, text: str, problem: str) -> None:
        super().__init__(f"Supplied string '{text}' is not valid JSON: decoder error")
        self.text = text
        self.problem = problem


class StartError(FactotumError):
    """The run cannot begin at the task that was asked for."""

    def __init__(self, task: str, text: str) -> None:
        super().__init__(text)
        self.task = task


class UnknownStartError(StartError):
    """There is no such task."""

    def __init__(self, task: str) -> None:
        super().__init__(task, "the task specified could not be found")


class StartNotAllowedError(StartError):
    """Something behind the start task needs a task that would not run."""

    def __init__(self, task: str) -> None:
        super().__init__(task, "the job cannot be started here without triggering prior tasks")


class VerdictError(FactotumError):
    """A saved verdict cannot be read, or belongs to another factfile."""


def shorten(text: str, limit: int = 80) -> str:
    """Return `text` in quotes, cut to a length that suits a message."""
    return f"'{text}'" if len(text) <= limit else f"'{text[:limit]}...'"
