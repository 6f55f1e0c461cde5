"""Bring the chart's reference and schema level with values.yaml, where the words on a value stand.

`make values` runs it. Each value has a line `# -- ...` before it; from these come the table in the
chart's README and the descriptions in values.schema.json. The schema's own part, what a value may
be, is written by hand there.
"""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

CHART = Path(__file__).resolve().parent.parent / "charts" / "factotum-operator"
BEGIN = "<!-- values: made by `make values` -->"
END = "<!-- end of values -->"


class Value(NamedTuple):
    """One value of the chart: its path with dots, what it is by itself, and the words on it."""

    path: str
    default: str
    words: str


def values_of(text: str) -> list[Value]:
    """Read the values and their words, in order; a map with words is one value."""
    found: list[Value] = []
    parents: list[tuple[int, str]] = []
    words = ""
    for line in text.splitlines():
        if told := re.match(r"\s*# -- (.+)", line):
            words = told[1]
        elif entry := re.match(r"(\s*)([\w-]+):\s*(.*)", line):
            depth, key, default = len(entry[1]), entry[2], entry[3]
            while parents and parents[-1][0] >= depth:
                parents.pop()
            path = ".".join([*(name for _, name in parents), key])
            if words:
                found.append(Value(path, default, words))
            parents.append((depth, key))
            words = ""
    return found


def table(values: list[Value]) -> str:
    """Build the README's table."""
    rows = [
        f"| `{each.path}` | {f'`{each.default}`' if each.default else 'see there'} |"
        f" {each.words.replace('|', '&#124;').replace('<', '&lt;')} |"
        for each in values
    ]
    return "\n".join([BEGIN, "", "| value | default | |", "|---|---|---|", *rows, "", END])


def with_table(readme: str, values: list[Value]) -> str:
    """Put the table into the README, between its marks."""
    begin, end = readme.index(BEGIN), readme.index(END) + len(END)
    return readme[:begin] + table(values) + readme[end:]


def described(schema: dict[str, Any], values: list[Value]) -> dict[str, Any]:
    """Put the words on each value into the schema."""
    for each in values:
        *parents, key = each.path.split(".")
        place = schema["properties"]
        for parent in parents:
            place = place[parent]["properties"]
        bare = {name: part for name, part in place[key].items() if name != "description"}
        if "$ref" in bare:  # what stands beside a reference is not read
            bare = {"allOf": [bare]}
        place[key] = {"description": each.words, **bare}
    return schema


def main() -> None:
    """Write both."""
    values = values_of((CHART / "values.yaml").read_text())
    readme = CHART / "README.md"
    readme.write_text(with_table(readme.read_text(), values))
    schema = CHART / "values.schema.json"
    made = described(json.loads(schema.read_text()), values)
    schema.write_text(json.dumps(made, indent=2) + "\n")


if __name__ == "__main__":
    main()
