"""The factfile as a checked, rendered value.

Parsing takes the original's steps in the original's order, since the order
decides which error is told: JSON, schema, the templates of the whole
document, then task by task.
"""

from __future__ import annotations

from factotum.core import errors, jsontext
from factotum.core.factfile import dag, schema, templating

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from factotum.core.factfile.bounds import Bounds


class Task:
    """One task as the factfile defines it, names and arguments rendered."""

    __slots__ = (
        "arguments",
        "command",
        "continue_codes",
        "depends_on",
        "executor",
        "name",
        "terminate_codes",
        "written_name",
    )

    def __init__(
        self,
        name: str,
        executor: str,
        command: str,
        arguments: tuple[str, ...],
        depends_on: tuple[str, ...],
        terminate_codes: tuple[int, ...],
        continue_codes: tuple[int, ...],
    ) -> None:
        self.name = name
        self.written_name = name
        """The name before templating, for texts that may not hold values of variables."""
        self.executor = executor
        self.command = command
        self.arguments = arguments
        self.depends_on = depends_on
        self.terminate_codes = terminate_codes
        self.continue_codes = continue_codes

    def __repr__(self) -> str:
        return f"Task({self.name!r})"

    @property
    def command_line(self) -> str:
        """What the shell gets: nothing inside an argument is escaped."""
        quoted = '" "'.join(self.arguments)
        return f'{self.command} "{quoted}"' if self.arguments else f"{self.command} "


class Factfile:
    """A checked factfile: its name, its tasks in file order, and their graph."""

    __slots__ = ("compact", "dag", "document", "name", "tasks")

    def __init__(
        self,
        name: str,
        tasks: tuple[Task, ...],
        graph: dag.Dag,
        compact: str,
        document: dict[str, Any],
    ) -> None:
        self.name = name
        self.tasks = tasks
        self.dag = graph
        self.compact = compact
        """The compact form, rendered as one template: what references and events use."""
        self.document = document
        """The JSON document as it was read, before templating."""

    def __repr__(self) -> str:
        return f"Factfile({self.name!r}, {len(self.tasks)} tasks)"

    @classmethod
    def parse(
        cls, text: str, variables: Mapping[str, str] | None, bounds: Bounds | None = None
    ) -> Factfile:
        """Read, check and render a factfile.

        Args:
            text: The factfile's text.
            variables: What placeholders stand for; None leaves them as they
                are.
            bounds: How much may be made of it; None: whatever it takes.

        Raises:
            FactfileError: The text is no factfile; the message says why.
        """
        document = _read_document(text, bounds)
        data = document["data"]
        # The whole document first, as the original does: its errors come first too.
        compact = _render_document(document, variables, bounds)
        name = data["name"]
        if variables is not None:
            name = _render(name, variables, "name", bounds)
        graph = dag.Dag()
        tasks = []
        for definition in data["tasks"]:
            task = _build_task(definition, variables, bounds)
            graph.add(task.name, task.depends_on)
            tasks.append(task)
        return cls(name, tuple(tasks), graph, compact, document)


def _read_document(text: str, bounds: Bounds | None) -> dict[str, Any]:
    try:
        document = jsontext.parse(text)
    except jsontext.BadJsonError:
        from factotum.core.factfile import jsonsyntax

        raise jsonsyntax.explain(text) from None
    violations = schema.find_violations(document, None if bounds is None else bounds.violations)
    if violations or not isinstance(document, dict):
        raise errors.SchemaError(tuple(violations))
    return document


def _render_document(
    document: dict[str, Any], variables: Mapping[str, str] | None, bounds: Bounds | None
) -> str:
    compact = to_compact(document)
    if variables is None or "{{" not in compact:
        return compact
    for definition in document["data"]["tasks"]:
        # On its own, or an open tag in here would swallow the rest of the document.
        try:
            templating.check(definition["executor"])
        except errors.TemplateError as error:
            raise errors.TemplateError(
                error.problem, error.template, f"executor of the task '{definition['name']}'"
            ) from None
    try:
        return templating.render(compact, variables, bounds)
    except errors.TemplateError as error:
        found = _locate_template_error(document, variables, bounds)
        raise found or errors.TemplateError(error.problem) from None


def _locate_template_error(
    document: dict[str, Any], variables: Mapping[str, str], bounds: Bounds | None
) -> errors.TemplateError | None:
    """Return the first error that a field shows on its own, which names a place."""
    data = document["data"]
    try:
        _render(data["name"], variables, "name of the job", bounds)
        for definition in data["tasks"]:
            place = f"the task '{definition['name']}'"
            _render(definition["name"], variables, f"name of {place}", bounds)
            _render(definition["command"], variables, f"command of {place}", bounds)
            for text in definition["arguments"]:
                _render(text, variables, f"argument of {place}", bounds)
            for text in definition["dependsOn"]:
                _render(text, variables, f"dependency of {place}", bounds)
    except errors.TemplateError as error:
        return error
    return None


def _render(template: str, variables: Mapping[str, str], place: str, bounds: Bounds | None) -> str:
    if "{{" not in template:
        return template
    try:
        return templating.render(template, variables, bounds)
    except errors.TemplateError as error:
        raise errors.TemplateError(error.problem, error.template, place) from None


def _build_task(
    definition: dict[str, Any], variables: Mapping[str, str] | None, bounds: Bounds | None
) -> Task:
    name = definition["name"]
    arguments = definition["arguments"]
    depends_on = definition["dependsOn"]
    on_result = definition["onResult"]
    terminate_codes = tuple(on_result["terminateJobWithSuccess"])
    continue_codes = tuple(on_result["continueJob"])
    if variables is not None:
        name = _render(name, variables, f"name of the task '{name}'", bounds)
    if not continue_codes:
        raise errors.OnResultError(name, "has no way to continue successfully.")
    if terminate_codes and not set(terminate_codes).isdisjoint(continue_codes):
        raise errors.OnResultError(name, "has conflicting actions.")
    if variables is not None:
        place = f"the task '{name}'"
        # Its result is not used: the shell gets the command verbatim, as ever.
        _render(definition["command"], variables, f"command of {place}", bounds)
        arguments = [_render(text, variables, f"argument of {place}", bounds) for text in arguments]
        depends_on = [
            _render(text, variables, f"dependency of {place}", bounds) for text in depends_on
        ]
    task = Task(
        name,
        definition["executor"],
        definition["command"],
        tuple(arguments),
        tuple(depends_on),
        terminate_codes,
        continue_codes,
    )
    task.written_name = definition["name"]
    return task


def to_compact(document: dict[str, Any]) -> str:
    """Return a checked document in the original's compact form, not rendered."""
    quote = jsontext.quote
    data = document["data"]
    tasks = []
    for task in data["tasks"]:
        on_result = task["onResult"]
        tasks.append(
            f'{{"name":{quote(task["name"])},"executor":{quote(task["executor"])},'
            f'"command":{quote(task["command"])},"arguments":{_strings(task["arguments"])},'
            f'"dependsOn":{_strings(task["dependsOn"])},'
            f'"onResult":{{"terminateJobWithSuccess":{_codes(on_result["terminateJobWithSuccess"])},'
            f'"continueJob":{_codes(on_result["continueJob"])}}}}}'
        )
    return (
        f'{{"schema":{quote(document["schema"])},"data":{{"name":{quote(data["name"])},'
        f'"tasks":[{",".join(tasks)}]}}}}'
    )


def _strings(values: list[str]) -> str:
    return f"[{','.join([jsontext.quote(value) for value in values])}]"


def _codes(values: list[int]) -> str:
    return f"[{','.join([str(value) for value in values])}]"
