"""Every option once: its value, its commands and its explanation; the texts made from them."""

from __future__ import annotations

RUN, VALIDATE, DOT, COMPLETION = "run", "validate", "dot", "completion"

USAGE = """Usage:
  factotum run <factfile> [--start=<start_task>] [--env=<env>] [--dry-run] [--no-colour]\
 [--webhook=<url>] [--tag=<tag>]... [--constraint=<constraint>]... [--max-stdouterr-size=<bytes>]\
 [--heartbeat-interval=<seconds>]
               [--schedule=<levels|eager>] [--max-parallel=<tasks>] [--verdict=<file>]\
 [--resume=<file>] [--output-format=<text|json>] [--progress] [--webhook-backoff=<seconds>]\
 [--webhook-timeout=<seconds>]
  factotum validate <factfile> [--no-colour] [--env=<env>] [--tag=<tag>]...\
 [--output-format=<text|json>]
  factotum dot <factfile> [--start=<start_task>] [--output=<output_file>] [--overwrite]\
 [--no-colour]
  factotum completion <bash|zsh|fish> [--no-colour]
  factotum (-h | --help) [--no-colour]
  factotum (-v | --version) [--no-colour]"""


class Option:
    """One long option.

    Attributes:
        value: What its value is called in texts; None for a flag.
        commands: Where it may stand; empty for help and version.
        explanation: One or two lines for the help text.
        repeatable: Whether it may be given more than once.
        number: The original's name of the unsigned number it takes.
        choices: The words it takes, if these are few.
    """

    __slots__ = ("choices", "commands", "explanation", "number", "repeatable", "value")

    def __init__(
        self,
        value: str | None,
        commands: tuple[str, ...],
        explanation: str,
        *,
        repeatable: bool = False,
        number: str | None = None,
        choices: tuple[str, ...] = (),
    ) -> None:
        self.value = value
        self.commands = commands
        self.explanation = explanation
        self.repeatable = repeatable
        self.number = number
        self.choices = choices


OPTIONS = {
    "--help": Option(None, (), "Show this text."),
    "--version": Option(None, (), "Show the version."),
    "--no-colour": Option(
        None,
        (RUN, VALIDATE, DOT, COMPLETION),
        "Print without colour; tasks see CLICOLOR=0.",
    ),
    "--start": Option("start_task", (RUN, DOT), "Begin at this task instead of at the beginning."),
    "--env": Option(
        "env", (RUN, VALIDATE), 'Variables for placeholders: a JSON object of strings, {"x":"1"}.'
    ),
    "--tag": Option(
        "tag",
        (RUN, VALIDATE),
        "Metadata KEY,VALUE for events, and placeholder {{tag:KEY}}; may be repeated.",
        repeatable=True,
    ),
    "--dry-run": Option(None, (RUN,), "Show the commands in their order and run nothing."),
    "--constraint": Option(
        "constraint",
        (RUN,),
        'Run only where it holds, else do nothing and succeed: "host,NAME_OR_IP" or "host,*".',
        repeatable=True,
    ),
    "--webhook": Option("url", (RUN,), "Post an event to this address for each change."),
    "--max-stdouterr-size": Option(
        "bytes",
        (RUN,),
        "How many characters of a task's output go into events, counted from its end"
        " (default 10000).",
        number="usize",
    ),
    "--heartbeat-interval": Option(
        "seconds",
        (RUN,),
        "Post an event this often while tasks are running, with their output so far.",
        number="u64",
    ),
    "--webhook-backoff": Option(
        "seconds",
        (RUN,),
        "Pauses after failed tries, such as 1,2 (default), or 'original': up to a minute each,"
        " without any limit at the end.",
    ),
    "--webhook-timeout": Option(
        "seconds", (RUN,), "How long one try may take (default 30).", number="u64"
    ),
    "--schedule": Option(
        "levels|eager",
        (RUN,),
        "levels (default): a level starts when all of the one before has ended;"
        " eager: a task starts when its own dependencies have.",
        choices=("levels", "eager"),
    ),
    "--max-parallel": Option(
        "tasks", (RUN,), "Run at most so many tasks at once (default: any number).", number="usize"
    ),
    "--verdict": Option("file", (RUN,), "Write the result of the run to this file, as JSON."),
    "--resume": Option(
        "file", (RUN,), "Do not repeat what succeeded according to this file of --verdict."
    ),
    "--progress": Option(
        None, (RUN,), "Show the running tasks and counts live, if the output is a terminal."
    ),
    "--output-format": Option(
        "text|json",
        (RUN, VALIDATE),
        "json: the result as one JSON document on standard output (default text);"
        " what tasks print goes to standard error.",
        choices=("text", "json"),
    ),
    "--output": Option("output_file", (DOT,), "Write the graph to this file."),
    "--overwrite": Option(None, (DOT,), "Allow --output to replace a file."),
}

SHORT_FORMS = {"-h": "--help", "-v": "--version"}


_TEXT_COLUMN = 36
_WIDTH = 100


def _wrap(label: str, text: str) -> list[str]:
    """Return the lines of a labelled paragraph; textwrap costs start-up."""
    lines = []
    line = label
    for word in text.split(" "):
        if len(line) + 1 + len(word) > _WIDTH:
            lines.append(line)
            line = " " * _TEXT_COLUMN
        line += f" {word}"
    return [*lines, line]


def help_text() -> str:
    """Return what --help prints."""
    lines = ["Factotum.", "", USAGE, "", "Options:"]
    short = {long: form for form, long in SHORT_FORMS.items()}
    for name, option in OPTIONS.items():
        shown = f"{short[name]}, {name}" if name in short else name
        if option.value is not None:
            shown += f"=<{option.value}>"
        where = f" [{', '.join(option.commands)}]" if option.commands else ""
        lines += _wrap(f"  {shown:<34}", option.explanation + where)
    lines += [
        "",
        "The job server is another program: factotum server --help.",
        "Exit codes: 0 success, 1 the factfile cannot be used, 2 a task failed, 3 anything else.",
        "",
    ]
    return "\n".join(lines)
