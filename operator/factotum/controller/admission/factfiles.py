"""Everything that is wrong with a factfile, each with its path. Pure.

Whether something is wrong, the runner's own code says, and its one sentence comes first; what
follows is for a person who wants to mend all of it at once.
"""

import contextlib
import functools
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import jsonschema

from factotum.core import errors
from factotum.core.errors import FactfileError, StartError, TooLargeError
from factotum.core.factfile import schema, templating
from factotum.core.factfile.bounds import Bounds
from factotum.core.factfile.document import Factfile
from factotum.core.words import sentences

_ROOT: Final = "spec.factfile"
_SCHEMA: Final = Path(schema.__file__).with_name("factfile.schema.json")
_WORDS: Final = 300
"""Characters of one violation."""

Violation = tuple[str, str]
"""A path and what is wrong there."""


def as_text(document: Mapping[str, Any]) -> str:
    """Return a factfile as its text, as the controller reads it."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def violations(
    document: Mapping[str, Any], label: str, variables: Mapping[str, str], start: str | None
) -> Iterator[Violation]:
    """List what is wrong, the original's own words first.

    Args:
        document: the factfile.
        label: how it is called in sentences.
        variables: of its templates.
        start: the task to start from.
    """
    text, bounds = as_text(document), Bounds()
    try:
        factfile = Factfile.parse(text, variables, bounds)
    except FactfileError as exc:
        first = str(exc).partition("\n")[0]
        yield _ROOT, sentences.invalid_factfile(label, first)
        if isinstance(exc, errors.SchemaError):
            yield from _shape(document, bounds)
        else:
            with contextlib.suppress(TooLargeError):
                yield from _contents(document["data"], variables, start, bounds)
        return
    try:
        factfile.dag.levels(start)
    except StartError as exc:
        yield "spec.start", sentences.invalid_start(str(start), exc)


def _shape(document: object, bounds: Bounds) -> Iterator[Violation]:
    some = itertools.islice(_validator().iter_errors(document), bounds.violations)
    for each in sorted(some, key=lambda each: list(map(str, each.path))):
        steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in each.path]
        yield _ROOT + "".join(steps), each.message[:_WORDS]


@functools.cache
def _validator() -> Any:
    return jsonschema.Draft202012Validator(json.loads(_SCHEMA.read_text("utf-8")))


def _contents(
    data: Mapping[str, Any], variables: Mapping[str, str], start: str | None, bounds: Bounds
) -> Iterator[Violation]:
    """List what is wrong in a factfile of the right shape."""
    root = f"{_ROOT}.data"

    def render(text: str) -> str:
        return templating.render(text, variables, bounds)

    yield from _errors(f"{root}.name", render, data["name"])
    earlier: set[str] = set()
    names = [_rendered(task["name"], render) for task in data["tasks"]]
    all_names = set(names)
    for index, (task, name) in enumerate(zip(data["tasks"], names, strict=True)):
        path = f"{root}.tasks[{index}]"
        yield from _templates(task, path, render)
        yield from _codes(task["onResult"], path)
        if name in earlier:
            yield f"{path}.name", f"the task '{name}' is defined more than once"
        for number, text in enumerate(task["dependsOn"]):
            wrong = _dependency(name, _rendered(text, render), earlier, all_names)
            if wrong:
                yield f"{path}.dependsOn[{number}]", wrong
        earlier.add(name)
    if start is not None and start not in all_names:
        yield "spec.start", sentences.invalid_start(start, errors.UnknownStartError(start))


def _dependency(name: str, dependency: str, earlier: set[str], all_names: set[str]) -> str | None:
    if dependency == name:
        return f"the task '{name}' cannot depend on itself"
    if dependency in earlier:
        return None
    if dependency in all_names:
        # This is how a cycle shows, too: one of its tasks needs one further down.
        return (
            f"the task '{name}' depends on '{dependency}', which is defined further down:"
            " a task comes after those that it depends on, and none may wait for itself"
        )
    return f"the task '{name}' depends on '{dependency}', which is not defined in the factfile"


def _templates(
    task: Mapping[str, Any], path: str, render: Callable[[str], object]
) -> Iterator[Violation]:
    yield from _errors(f"{path}.name", render, task["name"])
    yield from _errors(f"{path}.executor", templating.check, task["executor"])
    yield from _errors(f"{path}.command", render, task["command"])
    for field in ("arguments", "dependsOn"):
        for number, text in enumerate(task[field]):
            yield from _errors(f"{path}.{field}[{number}]", render, text)


def _codes(on_result: Mapping[str, Any], path: str) -> Iterator[Violation]:
    go_on, end = on_result["continueJob"], on_result["terminateJobWithSuccess"]
    if not go_on:
        yield f"{path}.onResult.continueJob", "the task has no way to continue successfully."
    both = sorted(set(go_on).intersection(end))
    if both:
        codes = ", ".join(map(str, both[:10]))
        yield f"{path}.onResult", f"the task has conflicting actions: {codes} is in both lists"


def _errors(path: str, check: Callable[[str], object], text: str) -> Iterator[Violation]:
    try:
        check(text)
    except errors.TemplateError as exc:
        yield path, str(exc)[:_WORDS]


def _rendered(text: str, render: Callable[[str], str]) -> str:
    try:
        return render(text)
    except errors.TemplateError:
        return text
