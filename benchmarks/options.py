"""What the command lines of benchmarks with a plan have in common."""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measuring import Report


class Parser(argparse.ArgumentParser):
    """Reads options into the fields of a plan; the plan's own values are the defaults.

    Args:
        prog: the command.
        description: of it.
        default: the plan that is taken where nothing is said.
    """

    def __init__(self, prog: str, description: str | None, default: object) -> None:
        super().__init__(prog=prog, description=description)
        self._default = default
        self.add_argument("--output", type=Path, default=Path("build/bench.jsonl"))

    def add_names(self, known: Mapping[str, Sequence[str]]) -> None:
        """Add options that take some of what is known, by their fields."""
        for field, names in known.items():
            given = getattr(self._default, field)
            text = f"some of {', '.join(names)} (default: {','.join(given)})"
            self._add(field, _names_of(names), "A,B", text)

    def add_numbers(self, texts: Mapping[str, str]) -> None:
        """Add options that take a number of the default's kind, by their fields."""
        for field, text in texts.items():
            given = getattr(self._default, field)
            self._add(field, type(given), "N", f"{text} (default: {given})")

    def add_sizes(self, field: str, text: str) -> None:
        """Add an option that takes whole numbers with commas between."""
        given = ",".join(map(str, getattr(self._default, field)))
        self._add(field, _numbers, "N,M", f"{text} (default: {given})")

    def _add(self, field: str, kind: Callable[[str], Any], metavar: str, text: str) -> None:
        given = getattr(self._default, field)
        self.add_argument(f"--{field}", type=kind, default=given, metavar=metavar, help=text)

    def run(self, measure: Callable[[Report, dict[str, Any]], None]) -> int:
        """Measure with what the command line says, and write down where figures are."""
        given = vars(self.parse_args())
        output: Path = given.pop("output")
        output.parent.mkdir(parents=True, exist_ok=True)
        with output.open("w", encoding="utf-8") as lines:
            measure(Report(sys.stdout, lines), given)
        print(f"\nall figures: {output}")
        return 0


def _names_of(known: Sequence[str]) -> Callable[[str], tuple[str, ...]]:
    def parse(text: str) -> tuple[str, ...]:
        names = tuple(text.split(","))
        for name in names:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(known)}")
        return names

    return parse


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))
