"""Factfiles for tests: the fixtures that the case tables name, and a short way to write others."""

import json
from collections.abc import Sequence
from typing import Any

SCHEMA = "iglu:com.snowplowanalytics.factotum/factfile/jsonschema/1-0-0"


def task(
    name: str,
    command: str = "echo",
    *args: str,
    after: Sequence[str] = (),
    terminate: Sequence[int] = (),
    ok: Sequence[int] = (0,),
) -> dict[str, Any]:
    """Return a task; its keys stand in the factfile's compact order."""
    return {
        "name": name,
        "executor": "shell",
        "command": command,
        "arguments": list(args),
        "dependsOn": list(after),
        "onResult": {"terminateJobWithSuccess": list(terminate), "continueJob": list(ok)},
    }


def factfile(name: str, *tasks: dict[str, Any]) -> str:
    """Return a factfile's text, which is also its compact form if all is ASCII."""
    whole = {"schema": SCHEMA, "data": {"name": name, "tasks": list(tasks)}}
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False)


def graph(name: str, **tasks: Sequence[str]) -> str:
    """Return a factfile of tasks that echo their own name, each with its dependencies."""
    return factfile(name, *(task(key, "echo", key, after=deps) for key, deps in tasks.items()))


CHAIN = factfile(
    "chain",
    task("a", "echo", "A"),
    task("b", "echo", "B", after=["a"]),
    task("c", "echo", "C", after=["b"]),
)
FAIL = factfile(
    "fail",
    task("a", "echo", "A"),
    task("b", "exit", "5", after=["a"]),
    task("c", "echo", "C", after=["b"]),
    task("d", "echo", "D", after=["c"]),
)
NOOP = factfile(
    "noop",
    task("a", "echo", "A"),
    task("b", "exit", "99", after=["a"], terminate=[99]),
    task("c", "echo", "C", after=["b"]),
)
MIXED = factfile(
    "mixed",
    task("a", "sleep 0.3; exit", "3", terminate=[3]),
    task("b", "exit", "5"),
    task("c", "echo", "C", after=["a", "b"]),
)
MULTI = factfile(
    "multi",
    task("setup", "true"),
    task("quick", "exit", "5", after=["setup"]),
    task("slow", "sleep", "0.5", after=["setup"]),
    task("delayed", "sleep 0.2; exit", "2", after=["setup"]),
    task("dq", "true", after=["quick"]),
    task("dd", "true", after=["delayed"]),
    task("final", "true", after=["dq", "dd", "slow"]),
)
ECHO = factfile(
    "echo order demo",
    task("echo alpha", "echo", "alpha", terminate=[3]),
    task("echo beta", "echo", "beta", after=["echo alpha"], terminate=[3]),
    task("echo omega", "echo", "and omega!", after=["echo beta"], terminate=[3]),
)
DIAMOND = graph("diamond", a=[], b=["a"], c=["a"], d=["b", "c"])
APPLES = graph(
    "apples",
    apple=[],
    turnip=[],
    orange=["apple"],
    egg=["apple"],
    potato=["apple", "egg"],
    chicken=["potato", "orange"],
)
EMPTY = factfile("empty")
