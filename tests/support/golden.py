"""Replay recorded runs of the original program against ours and say how they differ.

A record (tests/conformance/golden/README.md has the format) is data; this module runs
it once in a fresh folder, puts what is bound to differ from run to run into marks,
and compares. `accept` rules let a run differ where the original crashes or has a quirk.
"""

import base64
import difflib
import fcntl
import json
import re
import signal
import socket
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from support.commands import Run, Signal, run_command
from support.http.receivers import DROP, Receiver, Reply, Request, reply

Record = dict[str, Any]

FACTFILE = "job.factfile"
CONTENT_TYPE = "application/json; charset=utf-8"

_FRACTION = r"(?:\.(?:\d{9}|\d{6}|\d{3}))?"
_SPAN = r"(?:\d+\.\ds|(?:\d+h, )?\d+m, \d+s)"
_MARKED_IN_TEXT = (
    (re.compile(rf"\b\d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d{_FRACTION} UTC"), "<TS>"),
    (re.compile(rf"(tasks run in ){_SPAN}(?=\x1b|\n|$)"), r"\1<DUR>"),
    (re.compile(r"(?m)(succeeded after )\d+\.\ds$"), r"\1<DUR>"),
    (re.compile(r"(?m)(failed after )\d+\.\ds(?=\. Reason: )"), r"\1<DUR>"),
)
_MARKED_IN_EVENTS = {
    "startTime": (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "<TS>"),
    "started": (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "<TS>"),
    "runDuration": (re.compile(rf"P(?=[\dT])(?:\d+D)?(?:T\d+{_FRACTION}S)?"), "<DUR>"),
    "duration": (re.compile(rf"P(?=[\dT])(?:\d+D)?(?:T\d+{_FRACTION}S)?"), "<DUR>"),
    "runReference": (re.compile(r"[0-9a-f]{64}"), "<HASH>"),
}
_OWN_WORDS = (
    (re.compile(r"(Factotum version )\d+\.\d+\.\d+\S*"), r"\1<VERSION>"),
    (re.compile(r"Usage:\s+factotum [\s\S]*"), "Usage: <USAGE>"),
)
_SEVERAL_SCHEMA_ERRORS = "is not a valid factotum factfile: "
_TASK_START = re.compile(r"Task '.*' was started at <TS>")


class Observation(NamedTuple):
    """One run in comparable form."""

    run: Run
    stdout: str
    stderr: str
    posts: list[Any]
    requests: list[Request]
    files: dict[str, str]


def load_records(path: Path) -> list[Record]:
    """Return the records of a file, in order."""
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def replay(
    record: Record, command: Sequence[str], folder: Path, environ: Mapping[str, str] | None = None
) -> Observation:
    """Run a record in an empty folder.

    Raises:
        EnvironmentError: The machine lacks what the record needs.
    """
    _check_needs(record.get("needs"), command)
    webhook = record.get("webhook")
    if webhook is None:
        return _run(record, command, folder, "", environ or {})
    if webhook.get("refuse"):
        with socket.socket() as bound:  # bound, but nothing listens: connections are refused
            bound.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{bound.getsockname()[1]}"
            return _run(record, command, folder, url, environ or {})
    with Receiver([_reply(each) for each in webhook.get("answers") or [200]]) as receiver:
        seen = _run(record, command, folder, receiver.url, environ or {})
    norm = _Normaliser(folder, receiver.url)
    posts = [norm.post(request) for request in receiver.requests]
    return seen._replace(posts=posts, requests=list(receiver.requests))


def differences(record: Record, seen: Observation) -> list[str]:
    """Return how a run differs from its record; empty if it conforms."""
    found = _all_differences(record, seen)
    return [] if found and is_accepted(record, seen) else found


def deviates(record: Record, seen: Observation) -> bool:
    """Whether a conforming run differs from its record on purpose."""
    return bool(record.get("accept") and _all_differences(record, seen))


def is_accepted(record: Record, seen: Observation) -> bool:
    """Whether a deviation is one of those that the record allows."""
    rules = record.get("accept") or []
    for rule in rules if isinstance(rules, list) else [rules]:
        texts = {"stdout": seen.stdout, "stderr": seen.stderr}
        if seen.run.exit == rule.get("exit", record["exit"]) and all(
            rule.get(name, text) == text
            and text.startswith(rule.get(f"{name}_prefix", ""))
            and all(part in text for part in rule.get(f"{name}_contains", []))
            for name, text in texts.items()
        ):
            return True
    return False


def compact_bytes(event: Mapping[str, Any]) -> bytes:
    """Return the only bytes that the original would send for this event."""
    text = _compact({"schema": event["schema"], "data": _sorted(event["data"])})
    return text.encode()


def own_ipv4_addresses() -> list[str]:
    """Return this machine's IPv4 addresses but the loopback ones."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        for _, name in socket.if_nameindex():
            try:
                packed = fcntl.ioctl(probe, 0x8915, struct.pack("256s", name.encode()))
            except OSError:
                continue  # an interface without an IPv4 address
            found.append(socket.inet_ntoa(packed[20:24]))
    return [address for address in found if not address.startswith("127.")]


def _check_needs(needs: str | None, command: Sequence[str]) -> None:
    match needs:
        case None:
            return
        case "a command that starts without PATH":
            met = command[0].startswith("/")
        case "a non-loopback IPv4 interface":
            met = bool(own_ipv4_addresses())
        case _:
            met = False
    if not met:
        raise OSError(f"this machine lacks what the record needs: {needs}")


def _reply(answer: Any) -> Reply:
    if isinstance(answer, int):
        return reply(answer)
    if answer.get("drop"):
        return DROP
    if "raw" in answer:
        return Reply(answer["raw"].encode(), answer.get("delay_s", 0))
    return reply(
        answer["status"], answer.get("headers"), answer.get("body", ""), answer.get("delay_s", 0)
    )


def _run(
    record: Record, command: Sequence[str], folder: Path, url: str, environ: Mapping[str, str]
) -> Observation:
    def fill(text: str) -> str:
        places = {
            "{FACTFILE}": FACTFILE,
            "{WEBHOOK}": url,
            "{TMP}": str(folder),
            "{HOSTNAME}": socket.gethostname(),
        }
        for place, value in places.items():
            text = text.replace(place, value)
        return text

    _write_files(record, folder)
    signals = record.get("signal") or []
    run = run_command(
        [*command, *map(fill, record["args"])],
        cwd=folder,
        environ={**environ, **{k: fill(v) for k, v in (record.get("environ") or {}).items()}},
        stdin=(record.get("stdin") or "").encode(),
        signals=[
            Signal(
                signal.Signals[f"SIG{each['sig']}"],
                each.get("after_text") or "",
                each.get("after_s", 0),
            )
            for each in ([signals] if isinstance(signals, dict) else signals)
        ],
        timeout=record.get("timeout_s", 60),
    )
    norm = _Normaliser(folder, url)
    files = {
        str(path.relative_to(folder)): path.read_bytes().decode("utf-8", "backslashreplace")
        for path in folder.rglob("*")
        if path.is_file()
    }
    return Observation(run, norm.text(run.out), norm.text(run.err), [], [], files)


def _write_files(record: Record, folder: Path) -> None:
    contents = dict(record.get("files") or {})
    if record.get("factfile") is not None:
        contents[FACTFILE] = record["factfile"]
    for name, content in contents.items():
        path = folder / name
        if content is None:
            path.mkdir(parents=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        is_text = isinstance(content, str)
        path.write_bytes(content.encode() if is_text else base64.b64decode(content["b64"]))


class _Normaliser:
    """Puts marks where two runs always differ."""

    def __init__(self, folder: Path, url: str) -> None:
        self._literal = []
        if url:
            self._literal += [(url, "{WEBHOOK}"), (url.partition("//")[2], "{WEBHOOK_HOST}")]
        self._literal += [(str(folder.resolve()), "{TMP}"), (str(folder), "{TMP}")]
        if len(socket.gethostname()) > 3:
            self._literal.append((socket.gethostname(), "<HOST>"))

    def text(self, text: str) -> str:
        for literal, mark in self._literal:
            text = text.replace(literal, mark)
        for pattern, mark in _MARKED_IN_TEXT:
            text = pattern.sub(mark, text)
        return text

    def post(self, request: Request) -> Any:
        try:
            body = json.loads(request.body)
        except ValueError:
            body = request.body.decode("utf-8", "backslashreplace")
        if isinstance(body, dict) and isinstance(body.get("data"), dict):
            self._event(body["data"])
        return {
            "method": request.method,
            "path": self.text(request.target),
            "headers": {"content-type": request.header("content-type")},
            "body": body,
        }

    def _event(self, data: dict[str, Any]) -> None:
        for each in [data, *data.get("taskStates", [])]:
            for key, (pattern, mark) in _MARKED_IN_EVENTS.items():
                if isinstance(each.get(key), str) and pattern.fullmatch(each[key]):
                    each[key] = mark
        for task in data.get("taskStates", []):
            for key in ("stdout", "stderr", "errorMessage"):
                if isinstance(task.get(key), str):
                    task[key] = self.text(task[key])


def _general(texts: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record or observation with the program's own version and usage as marks."""
    changed = dict(texts)
    for name in ("stdout", "stderr"):
        for pattern, mark in _OWN_WORDS:
            if changed.get(name):
                changed[name] = pattern.sub(mark, changed[name])
    return changed


def _all_differences(record: Record, seen: Observation) -> list[str]:
    return _exact_differences(_general(record), seen._replace(**_general(seen._asdict())))


def _exact_differences(record: Record, seen: Observation) -> list[str]:
    found = []
    if seen.run.timed_out:
        found.append(f"did not end within {record.get('timeout_s', 60)} s")
    elif seen.run.exit != record["exit"]:
        found.append(f"exit: {record['exit']} recorded, {seen.run.exit} seen")
    for name, text in (("stdout", seen.stdout), ("stderr", seen.stderr)):
        if record.get(name) is not None:
            unordered = record.get(f"{name}_unordered", False)
            want, got = (_lines(each, unordered=unordered) for each in (record[name], text))
            if want != got:
                found.append(_diff(name, want, got))
    if record.get("posts") is not None:
        found += _post_differences(record, seen)
    found += _file_differences(record.get("tmp_files_after") or {}, seen.files)
    if seen.run.seconds > record.get("max_wall_s", float("inf")):
        found.append(f"took {seen.run.seconds:.1f} s, at most {record['max_wall_s']} s expected")
    return found


def _lines(text: str, *, unordered: bool) -> list[str]:
    if not unordered:
        return text.split("\n")
    parts = text.replace(_SEVERAL_SCHEMA_ERRORS, _SEVERAL_SCHEMA_ERRORS + "\n").split("\n")
    starts = [line for line in parts if _TASK_START.match(line)]
    return starts + sorted(line for line in parts if not _TASK_START.match(line))


def _post_differences(record: Record, seen: Observation) -> list[str]:
    want = [_whole_post(post, record.get("posts_common") or {}) for post in record["posts"]]
    found = []
    if len(want) != len(seen.posts):
        found.append(f"posts: {len(want)} recorded, {len(seen.posts)} seen")
    for number, (wanted, got) in enumerate(zip(want, seen.posts, strict=False), 1):
        texts = [_comparable_post(each) for each in (wanted, got)]
        if texts[0] != texts[1]:
            found.append(_diff(f"post {number}", *texts))
            break
    for number, request in enumerate(seen.requests, 1):
        if request.body != compact_bytes(json.loads(request.body)):
            found.append(f"post {number}: its bytes are not the compact form with sorted keys")
            break
    return found


def _whole_post(post: Mapping[str, Any], common: Mapping[str, Any]) -> dict[str, Any]:
    whole = {"method": "POST", "headers": {"content-type": CONTENT_TYPE}, **post}
    if isinstance(whole["body"], dict):
        whole["body"] = {**whole["body"], "data": {**common, **whole["body"]["data"]}}
    return whole


def _comparable_post(post: Mapping[str, Any]) -> list[str]:
    copy = json.loads(json.dumps(post))
    if isinstance(copy["body"], dict):
        data = copy["body"]["data"]
        data["applicationContext"]["version"] = "<VERSION>"
        changes = data.get("taskTransitions", [])
        if all(each["previousState"] == each["currentState"] == "RUNNING" for each in changes):
            changes.sort(key=lambda each: each["taskName"])  # heartbeats have no order
    return json.dumps(copy, indent=1, sort_keys=True, ensure_ascii=False).split("\n")


def _file_differences(want: Mapping[str, str | None], got: Mapping[str, str]) -> list[str]:
    found = []
    for name, content in want.items():
        if content is None and name in got:
            found.append(f"file {name}: absent in the record, there now")
        elif content is not None and name not in got:
            found.append(f"file {name}: missing")
        elif content not in (None, "<ANY>", got.get(name)):
            found.append(_diff(f"file {name}", content.split("\n"), got[name].split("\n")))
    return found


def _diff(name: str, want: list[str], got: list[str]) -> str:
    lines = difflib.unified_diff(want, got, f"{name} recorded", f"{name} seen", "", "", 1, "")
    return "\n".join(line[:300] for line in list(lines)[:16])


def _sorted(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value, key=str.encode)}
    return [_sorted(each) for each in value] if isinstance(value, list) else value


def _compact(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("\x7f", "\\u007f")  # can only stand inside a string
