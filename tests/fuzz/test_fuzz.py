"""Damaged input through the whole command line: never a traceback, always 0, 1, 2 or 3.

Thousands of mutated factfiles, variables, tags, templates and options in one
process, and some through the installed command. Real: the files, the process, and
the shell for the few mutants that are run rather than checked. The seed is printed.
Sizes: FUZZ_IN_PROCESS and FUZZ_PROCESSES, else small; `ACCEPTANCE=full` takes the
sizes that the project promises.
"""

import json
import os
import random
import time

import pytest

from factotum.cli.main import main
from support.builders.factfiles import APPLES, CHAIN, FAIL, NOOP, factfile, task
from support.cluster.acceptance import report, sized
from support.commands import factotum_command, run_command

SEEDS = [
    CHAIN,
    FAIL,
    NOOP,
    APPLES,
    json.dumps(json.loads(CHAIN), indent=2),
    factfile("{{x}}", task("{{x}}", "echo {{#x}}a{{/x}}", "{{{y}}}", "{{! c }}{{^x}}b{{/x}}")),
]
PIECES = [
    "{{", "}}", "{{{", "}}}", "{{#x}}", "{{/x}}", "{{^x}}", "{{.}}", "{{=", "=}}", "{{>x}}", "{{!",
    '"', "\\", "\\u", "\\ud800", "\\u0000", "[", "]", "{", "}", ",", ":", "null", "true", "NaN",
    "-", "1e999", "99999999999999999999", "0", "32768", "-1", "1.5", "\n", "\r\n", "\t", " ",
    "\x7f",
    "\ufeff", "ä", "\U0001f600", "\u2028", "iglu:", "a", "b", "dependsOn", "name", "tasks",
]  # fmt: skip
OPTIONS = [
    "--env", "--tag", "--start", "--no-colour", "--schedule", "--output-format", "--max-parallel",
    "--max-stdouterr-size", "--heartbeat-interval", "--webhook-backoff", "--constraint", "--resume",
    "--output", "--overwrite", "--version", "--help", "-h", "-v", "--", "-", "--bogus",
    "--progress",
]  # fmt: skip


def count(name: str, full: int, quick: int) -> int:
    return int(os.environ.get(name) or sized(full, quick))


def mutate(dice: random.Random, text: str) -> str:
    for _ in range(dice.choice((1, 1, 1, 2, 3))):
        place = dice.randrange(len(text) + 1)
        kind = dice.randrange(5)
        if kind == 0:
            text = text[:place] + text[place + dice.randrange(1, 9) :]
        elif kind == 1:
            text = text[:place] + dice.choice(PIECES) + text[place:]
        elif kind == 2:
            text = text[:place] + dice.choice(PIECES) + text[place + 1 :]
        elif kind == 3:
            other = dice.randrange(len(text) + 1)
            text = text[:place] + text[min(place, other) : max(place, other)][:40] + text[place:]
        else:
            text = text[:place] + chr(dice.randrange(1, 0x3000)) + text[place:]
    return text


def build_command_line(dice: random.Random) -> list[str]:
    command = dice.choice(["validate"] * 3 + ["dot"] * 2 + ["run"] * 2)
    argv = [command, "job"]
    variables = '{"x":"1","y":"<a>","tag:z":"{{x}}"}'
    if command == "run":
        argv.append("--dry-run")  # mutants are commands as well: these are not for running
    if command != "dot" and dice.random() < 0.6:
        argv += ["--env", variables if dice.random() < 0.8 else mutate(dice, variables)]
    if command != "dot" and dice.random() < 0.4:
        argv += ["--tag", mutate(dice, "key,value")]
    if command != "validate" and dice.random() < 0.1:
        argv += ["--start", dice.choice(["a", "b", "apple", "", "{{x}}"])]
    if dice.random() < 0.1:
        argv.insert(dice.randrange(len(argv) + 1), dice.choice(OPTIONS))
    if dice.random() < 0.05:
        argv.append(mutate(dice, "--webhook=http://a/"))
    return argv


@pytest.mark.timeout(0)
def test_mutants_in_one_process(tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    seed = int(os.environ.get("FUZZ_SEED") or random.SystemRandom().randrange(2**32))
    dice = random.Random(seed)  # noqa: S311 - no secret
    codes = {0: 0, 1: 0, 2: 0, 3: 0}
    total = count("FUZZ_IN_PROCESS", 100_000, 10_000)
    begun = time.monotonic()
    for number in range(total):
        text = mutate(dice, dice.choice(SEEDS))
        (tmp_path / "job").write_bytes(text.encode("utf-8", "surrogatepass"))
        argv = build_command_line(dice)

        code = main(argv)

        assert code in codes, f"seed {seed}, number {number}: {argv!r} with {text!r}"
        codes[code] += 1
        if number % 1000 == 0:
            assert "Traceback" not in "".join(capfd.readouterr())
    assert "Traceback" not in "".join(capfd.readouterr())
    assert min(codes[0], codes[1], codes[3]) > total // 100
    with capfd.disabled():
        report(
            "fuzz-in-process",
            mutants=total,
            seed=seed,
            seconds=time.monotonic() - begun,
            **{f"exit{code}": times for code, times in codes.items()},
        )


@pytest.mark.timeout(0)
def test_mutants_through_the_installed_command(tmp_path, capfd):
    seed = int(os.environ.get("FUZZ_SEED") or random.SystemRandom().randrange(2**32))
    dice = random.Random(seed)  # noqa: S311 - no secret
    codes = {0: 0, 1: 0, 2: 0, 3: 0}
    total = count("FUZZ_PROCESSES", 1_000, 100)
    for number in range(total):
        text = mutate(dice, dice.choice(SEEDS))
        (tmp_path / "job").write_bytes(text.encode("utf-8", "surrogatepass"))
        # As bytes: an argument need not be UTF-8. A NUL cannot stand in one.
        argv = [
            each.replace("\0", "0").encode("utf-8", "replace") for each in build_command_line(dice)
        ]
        if dice.random() < 0.1:
            argv[dice.randrange(len(argv))] += b"\xff"

        done = run_command([factotum_command(), *argv], cwd=tmp_path, timeout=30)

        told = f"seed {seed}, number {number}: {argv!r} with {text!r}: {done}"
        assert done.exit in codes, told
        assert b"Traceback" not in done.stdout + done.stderr, told
        codes[done.exit] += 1
    with capfd.disabled():
        report(
            "fuzz-processes",
            mutants=total,
            seed=seed,
            **{f"exit{code}": times for code, times in codes.items()},
        )
