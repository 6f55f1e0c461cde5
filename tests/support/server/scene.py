"""One recorded scenario of the original job server, played to ours.

A record (tests/conformance/golden/README.md has the format) is data; this module
does its steps in a folder of its own and compares what happens with what was seen.
"""

import base64
import itertools
import json
import re
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from support.consul.process import free_ports
from support.http.receivers import Receiver
from support.server.forking import Forked, Zygote
from support.server.gate import ConsulGate
from support.server.http import Answered, ask

Record = dict[str, Any]
Step = Mapping[str, Any]

SECONDS = 20.0
SOON_SECONDS = 30.0
_HEADERS = ("content-type", "location", "allow")
_TO_MARKS = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC"), "<TS>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+(?:[+-]\d\d:\d\d|Z)"), "<TS>"),
    (re.compile(r"\d+ Days, \d+ Hours, \d+ Minutes, \d+ Seconds"), "<UPTIME>"),
    (re.compile(r"\(\d+(?:\.\d+)? ms\)"), "(<MS> ms)"),
)
ANY: Any = object()
"""Stands for an expectation where what is seen depends on who is faster."""
_REVISION = re.compile(r"\?cas=\d+$")
_ONLY_INTO_RUNS = ("<PORT", "<CONSULPORT>")


class Scene:
    """Where a scenario is played.

    Args:
        record: the scenario.
        folder: empty.
        runner: the runner that the server is told to use.
        differences: what ours does otherwise, by the number of the step.
    """

    def __init__(
        self,
        record: Record,
        folder: Path,
        zygote: Zygote,
        consul: ConsulGate,
        runner: Path,
        differences: Mapping[int, Any],
    ) -> None:
        self._record = record
        self._folder = folder
        self._zygote = zygote
        self._consul = consul
        self._runner = runner
        self._differences = differences
        self._servers: dict[str, Forked] = {}
        self._outputs: dict[str, list[Path]] = {}
        self._ports: dict[str, int] = {}
        self._sink = Receiver([200]) if '"webhook"' in json.dumps(record) else None
        for name, content in record.get("files", {}).items():
            self._write(name, content)

    def _write(self, name: str, content: str | Mapping[str, str]) -> None:
        path = self._folder / name
        if isinstance(content, str):
            path.write_text(self._filled(content))
        elif "b64" in content:
            path.write_bytes(base64.b64decode(content["b64"]))
        else:
            path.write_text(self._filled(content["text"]))
        if not isinstance(content, str) and content.get("mode") == "x":
            path.chmod(0o755)

    def play(self) -> None:
        """Do all steps; the first that comes out otherwise fails."""
        if self._sink is not None:
            self._sink.__enter__()
        if self._record.get("server") is not None:
            self._start("A", self._record["server"].get("options", []))
        for number, step in enumerate(self._record["steps"]):
            if number in self._differences:
                step = {**step, "expect": self._differences[number]}  # noqa: PLW2901
                if step.get("method") == "GET":
                    step.setdefault("until", "")  # it may have to become so
            action: Callable[[Step], None] = getattr(self, f"_do_{step['do'].replace('-', '_')}")
            try:
                action(step)
            except AssertionError as error:
                name = f"{step['do']} {step.get('method', '')} {step.get('path', '')}"
                raise AssertionError(f"step {number}, {name}: {error}") from None

    def close(self) -> None:
        """Let everything go that still waits."""
        for gate in self._record.get("gates", ()):
            (self._folder / gate).touch()
        for server in self._servers.values():
            server.end()
        if self._sink is not None:
            self._sink.__exit__(None, None, None)

    # --- marks ------------------------------------------------------------------------------

    def _marks(self) -> list[tuple[str, str]]:
        marks = [("<DIR>", str(self._folder)), ("<BIN>", str(self._runner))]
        for name, port in self._ports.items():
            suffix = "" if name == "A" else f"-{name}"
            marks += [(f"<ADDR{suffix}>", f"127.0.0.1:{port}"), (f"<PORT{suffix}>", str(port))]
        marks += [
            ("<CONSUL>", f"127.0.0.1:{self._consul.port}"),
            ("<CONSULPORT>", str(self._consul.port)),
        ]
        if self._sink is not None:
            marks.append(("<SINK>", f"127.0.0.1:{self._sink.port}"))
        return marks

    def _filled(self, text: str) -> str:
        for mark, value in self._marks():
            text = text.replace(mark, value)
        return text

    def _marked(self, text: str) -> str:
        for mark, value in self._marks():
            if not mark.startswith(_ONLY_INTO_RUNS):
                text = text.replace(value, mark)
        for pattern, mark in _TO_MARKS:
            text = pattern.sub(mark, text)
        return text

    # --- servers ----------------------------------------------------------------------------

    def _start(self, name: str, options: list[str]) -> None:
        spec = self._record.get("server") or {}
        if name not in self._ports:
            self._ports[name] = free_ports(1)[0]
        argv = [self._filled(option) for option in options]
        for option, value in (
            ("--factotum-bin", self._filled(spec.get("bin", "<BIN>"))),
            ("--ip", "127.0.0.1"),
            ("--port", str(self._ports[name])),
            ("--consul-ip", "127.0.0.1"),
            ("--consul-port", str(self._consul.port)),
        ):
            if not any(each.startswith(option) for each in options):
                argv.append(f"{option}={value}")
        server = self._zygote.fork(argv, self._folder, "factotum-server")
        self._servers[name] = server
        self._outputs.setdefault(name, []).append(server.out)
        server.wait_until_listening(self._ports[name])

    def _do_start(self, step: Step) -> None:
        self._start(step.get("on", "A"), step.get("options", []))

    def _do_kill(self, step: Step) -> None:
        code = self._servers.pop(step.get("on", "A")).end(step.get("signal", 15))
        if not step.get("anyExit"):
            _compare(step["expect"], {"exit": code})

    def _do_cli(self, step: Step) -> None:
        argv = [self._filled(word) for word in step["argv"]]
        done = self._zygote.fork(argv, self._folder, "factotum-server")
        seen = {
            "exit": done.wait(),
            "stdout": self._marked(done.out.read_text()),
            "stderr": self._marked(done.err.read_text()),
        }
        _compare(step["expect"], seen)

    def _do_cli_listens(self, step: Step) -> None:
        self._ports["A"] = step["port"]
        self._start("A", step["options"])
        self._servers.pop("A").end()

    # --- what is looked at --------------------------------------------------------------------

    def _do_http(self, step: Step) -> None:
        def look() -> dict[str, Any]:
            answer = self._ask(step)
            return {
                "status": answer.status,
                "headers": {
                    name: self._marked(answer.headers[name])
                    for name in _HEADERS
                    if name in answer.headers
                },
                "body": self._marked(answer.body.decode("utf-8", "replace")),
            }

        self._until(step, look, lambda seen: str(seen["body"]))

    def _ask(self, step: Step) -> Answered:
        body: bytes | None = None
        if "bodyGen" in step:
            made = step["bodyGen"]
            text = made["text"] * made["times"]
            body = f"{made.get('before', '')}{text}{made.get('after', '')}".encode()
        elif "bodyB64" in step:
            body = base64.b64decode(step["bodyB64"])
        elif step.get("body") is not None:
            body = self._filled(step["body"]).encode()
        raw = self._filled(step["raw"]).encode("latin-1") if "raw" in step else None
        headers = {name: self._filled(value) for name, value in step.get("headers", {}).items()}
        method, path = step.get("method", "GET"), self._filled(step.get("path", "/"))
        return ask(self._ports[step.get("on", "A")], method, path, headers, body, raw)

    def _do_kv(self, step: Step) -> None:
        def look() -> str | None:
            value = self._consul.get(step["key"])
            return None if value is None else self._marked(value)

        self._until(step, look, lambda seen: seen or "")

    def _do_kv_put(self, step: Step) -> None:
        value = step.get("b64")
        text = self._filled(step.get("value", "")).encode()
        self._consul.put(step["key"], text if value is None else base64.b64decode(value))

    def _do_kv_delete(self, step: Step) -> None:
        self._consul.delete(step["key"])

    def _do_kv_log(self, step: Step) -> None:
        def look() -> list[list[str | None]]:
            return [
                [
                    each.method,
                    _REVISION.sub("?cas=<REVISION>", self._marked(each.path)),
                    each.kind,
                    self._marked(each.body),
                ]
                for each in tuple(self._consul.seen)
            ]

        self._soon(step, look)
        self._consul.seen.clear()

    def _do_consul(self, step: Step) -> None:
        self._consul.set(step["mode"])

    def _do_open(self, step: Step) -> None:
        (self._folder / step["gate"]).touch()

    def _do_remove(self, step: Step) -> None:
        (self._folder / step["file"]).unlink()

    def _do_write(self, step: Step) -> None:
        (self._folder / step["file"]).write_text(self._filled(step["text"]))

    def _do_sleep(self, step: Step) -> None:
        time.sleep(step["seconds"])

    def _do_file(self, step: Step) -> None:
        def look() -> str | list[str] | None:
            path = self._folder / step["file"]
            if not path.exists():
                return None
            text = self._marked(path.read_text())
            return sorted(text.splitlines()) if step.get("sorted") else text

        self._soon(step, look)

    def _do_log(self, step: Step) -> None:
        def look() -> list[str]:
            paths = self._outputs[step.get("on", "A")]
            texts = [path.read_text(errors="replace") for path in paths]
            lines = self._marked("".join(texts)).splitlines()
            wanted = step.get("grep")
            return sorted(line for line in lines if wanted is None or re.search(wanted, line))

        self._soon(step, look)

    def _do_webhook(self, step: Step) -> None:
        sink = self._sink
        assert sink is not None
        self._soon(step, lambda: len(sink.requests))

    # --- patience ---------------------------------------------------------------------------

    def _until(self, step: Step, look: Callable[[], Any], text: Callable[[Any], str]) -> None:
        deadline = time.monotonic() + SECONDS
        wanted = step.get("until")
        for pause in itertools.chain((0.01, 0.02, 0.03), itertools.repeat(0.05)):
            seen = look()
            is_there = wanted is None or wanted in text(seen)
            is_right = step["expect"] is ANY or seen == step["expect"]
            if (is_there and is_right) or wanted is None:
                break
            if time.monotonic() > deadline:
                break
            time.sleep(pause)
        _compare(step["expect"], seen)

    def _soon(self, step: Step, look: Callable[[], Any]) -> None:
        deadline = time.monotonic() + SOON_SECONDS
        while (seen := look()) != step["expect"] and time.monotonic() < deadline:
            if step["expect"] is ANY:
                break
            time.sleep(0.02)
        _compare(step["expect"], seen)


def _compare(wanted: Any, seen: Any) -> None:
    if wanted is ANY:
        return
    shown = [json.dumps(each, ensure_ascii=False)[:3000] for each in (wanted, seen)]
    assert seen == wanted, f"\n  wanted {shown[0]}\n  seen   {shown[1]}"


def is_free(port: int) -> bool:
    """Whether nobody listens on a port that a scenario must have."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0
