"""Broken input for the command line: recorded command lines and factfiles, changed at random.

Run as a program it feeds them to `main(argv)` in its own process and prints what came of it
as one JSON object. Everything follows from the seed, so a finding can be repeated. No task is
ever started: there is no shell in the program search path.
"""

import json
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import NamedTuple

RECORDS = Path(__file__).parents[2] / "conformance" / "golden" / "cli.jsonl"
FACTFILE = "job.factfile"
LONGEST_SECONDS = 5

_PIECES = (
    *("{{", "}}", "{{{", "}}}", "{{#x}}", "{{/x}}", "{{^x}}", "{{>x}}", "{{!", "{{=<% %>=}}"),
    *("{{.}}", "{{&x}}", "{{tag:a}}", "<%x%>", "{{a.b}}", "{{ x", "\\", '"', "'", ",", ":"),
    *("\\u0000", "\\ud800", "\\udc00", "\\u007f", "\x00", "\x7f", "\u2028", "\ufeff", "\U0001f600"),
    *("[", "]", "{", "}", "[" * 500, "{" * 500, '{"a":' * 300, "null", "true", "-", "0", "1e999"),
    *("-0", "1.5", "18446744073709551616", "-9223372036854775809", "32768", "NaN", "Infinity"),
    *("\r\n", "\n", "\t", " " * 300, "//", "--", "=", "%", "$(", "`", "a" * 2000),
)
_URL_PIECES = (
    *("http://", "https://", "//", "@", ":", "[", "]", "[::1]", "xn--", "%", "%2e", "..", "0x"),
    *("256", ".", "1.2.3.4", "65536", "\u00fc", "\u3002", "#", "?", "\\", " ", "\udcff", "/"),
)
_OPTIONS = (
    *(
        "--dry-run",
        "--no-colour",
        "--overwrite",
        "--help",
        "-v",
        "-h",
        "--version",
        "--bogus",
        "--",
    ),
    *("--start=a", "--start", "--max-stdouterr-size=5", "--heartbeat-interval=x", "--output=o.dot"),
    *("--schedule=eager", "--max-parallel=2", "--output-format=json", "--constraint=host,*", ""),
    *("--constraint=other,x", "--verdict=v.json", "--resume=v.json", "--progress"),
)


class Attempt(NamedTuple):
    """One broken command line, and the factfile that lies beside it."""

    args: list[str]
    factfile: bytes


class Mutations:
    """An endless row of attempts."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311 - repeatable on purpose
        records = [json.loads(line) for line in RECORDS.read_text("utf-8").split("\n") if line]
        self._factfiles = sorted({each["factfile"] for each in records if each["factfile"]})
        texts = [arg for each in records for arg in each["args"] if "{" in arg or "," in arg]
        self._texts = sorted(set(texts) - {"{FACTFILE}", "{HOSTNAME}"})

    def draw(self) -> Attempt:
        """Return the next attempt."""
        chance = self._chance
        factfile = chance.choice(self._factfiles)
        if chance.random() < 0.7:
            factfile = self._change(factfile, _PIECES)
        content = factfile.encode("utf-8", "surrogateescape")
        if chance.random() < 0.1:
            content = self._damage(content)
        args = [chance.choice(["run", "run", "run", "validate", "dot"]), FACTFILE]
        if args[0] == "run":
            args += self._options_of_a_run()
        while chance.random() < 0.2:
            args.insert(chance.randrange(len(args) + 1), chance.choice(_OPTIONS))
        return Attempt([arg.replace("\0", "") for arg in args], content)

    def _options_of_a_run(self) -> list[str]:
        chance = self._chance
        options = []
        if chance.random() < 0.5:
            env = chance.choice(['{"x":"1","v":"<&>"}', '{"tag:a":"b"}', *self._texts])
            options += ["--env", self._change(env, _PIECES) if chance.random() < 0.5 else env]
        if chance.random() < 0.4:
            options += ["--tag", self._change(chance.choice(["a,b", *self._texts]), _PIECES)]
        if chance.random() < 0.3:
            options.append("--dry-run")
        if chance.random() < 0.2:
            # Refused, or never used: there is no such file.
            options += ["--webhook", self._change("http://host:80/a/../b?q#f", _URL_PIECES)]
            options += ["--start", "no such task \udcff"]
        return options

    def _change(self, text: str, pieces: tuple[str, ...]) -> str:
        chance = self._chance
        for _ in range(chance.choice([1, 1, 1, 2, 5])):
            begin = chance.randrange(len(text) + 1)
            end = min(len(text), begin + chance.choice([0, 0, 1, 1, 5, 50]))
            kind = chance.random()
            if kind < 0.6:
                middle = chance.choice(pieces)
            elif kind < 0.8:
                middle = text[begin:end] * chance.choice([0, 2, 3])
            else:
                middle = chr(chance.choice([chance.randrange(0x100), chance.randrange(0xD800)]))
            text = text[:begin] + middle + text[end:]
        return text

    def _damage(self, content: bytes) -> bytes:
        damaged = bytearray(content or b"\0")
        for _ in range(3):
            damaged[self._chance.randrange(len(damaged))] = self._chance.randrange(256)
        return bytes(damaged)


def main() -> int:
    """Try as many attempts as asked for, in this process and folder."""
    from factotum.cli.main import main as run_command_line

    times, seed = int(sys.argv[1]), int(sys.argv[2])
    mutations = Mutations(seed)
    os.environ["PATH"] = "/nonexistent"
    told = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    codes: Counter[int] = Counter()
    findings = []
    slowest = 0.0
    signal.signal(signal.SIGALRM, _give_up)
    for number in range(times):
        attempt = mutations.draw()
        Path(FACTFILE).write_bytes(attempt.factfile)
        begun = time.perf_counter()
        signal.alarm(LONGEST_SECONDS)
        try:
            codes[run_command_line(attempt.args)] += 1
        except BaseException:  # noqa: BLE001 - whatever gets out is the finding
            findings.append([number, attempt.args, traceback.format_exc()[-1500:]])
        signal.alarm(0)
        slowest = max(slowest, time.perf_counter() - begun)
        if number % 500 == 0 and Path(".factotum/factotum.log").exists():
            os.truncate(".factotum/factotum.log", 0)
    result = {"codes": codes, "slowest": slowest, "findings": findings[:5], "bad": len(findings)}
    os.write(told, json.dumps(result).encode())
    return 0


def _give_up(*_: object) -> None:
    raise TimeoutError(f"more than {LONGEST_SECONDS} s")


if __name__ == "__main__":
    sys.exit(main())
