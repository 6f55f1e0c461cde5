"""Events and logs as they happen: told, taken up again, and ended in time.

Real: the server as a process, its runners; streams read byte by byte.
"""

import itertools
import json
import signal
import socket
import threading
import time

import pytest

from support.server.http import encode
from support.server.rest import Rest
from support.server.running import Server


@pytest.fixture(scope="module")
def rest(zygote, tmp_path_factory):
    with Server(zygote, tmp_path_factory.mktemp("server")) as server:
        yield Rest(server)


def until(events, is_last):
    """Return events up to the first that is the last one."""
    seen = []
    for event in events:
        seen.append(event)
        if is_last(event):
            return seen
    raise AssertionError(f"the stream has ended: {seen[-3:]}")


def is_end_of(key):
    return lambda event: (
        event.kind == "job"
        and event.data["job"]["key"] == key
        and event.data["job"]["state"] == "DONE"
    )


def test_all_jobs_are_told_of_from_the_first_event_on(rest):
    events = rest.events("/v1/events")
    assert next(events).kind == "ready"

    job = rest.submit("true", name="told")

    seen = until(events, is_end_of(job["key"]))
    states = [
        event.data["job"]["state"] for event in seen if event.data["job"]["key"] == job["key"]
    ]
    assert states[-1] == "DONE"
    assert [event.id for event in seen] == sorted({event.id for event in seen})


def test_who_comes_back_misses_nothing_and_hears_nothing_twice(rest):
    events = rest.events("/v1/events")
    begin = next(events).id
    events.close()
    jobs = [rest.submit("true", name=f"missed {n}") for n in range(3)]
    for job in jobs:
        rest.wait(job["key"])

    again = rest.events("/v1/events", last=begin)
    ended = set()
    seen = until(again, lambda e: e.kind == "job" and _note(e, ended) >= 3)

    assert seen[0].kind == "ready"
    assert ended == {job["key"] for job in jobs}
    last = seen[-1].id
    again.close()
    third = rest.events("/v1/events", last=last)
    assert next(third).kind == "ready"
    job = rest.submit("true", name="later")
    assert next(third).data["job"]["key"] == job["key"]


def _note(event, ended):
    if event.data["job"]["state"] == "DONE":
        ended.add(event.data["job"]["key"])
    return len(ended)


def test_who_knows_of_a_future_that_never_was_begins_anew(rest):
    event = next(rest.events("/v1/events", last=10**12))

    assert (event.kind, event.id) == ("reset", event.data["sequence"])


def has_running(index):
    return lambda event: any(
        (task["index"], task["state"]) == (index, "RUNNING") for task in event.data["tasks"]
    )


def test_one_job_is_told_of_with_the_tasks_that_changed(rest, tmp_path):
    gate = tmp_path / "gate"
    waits = f"until [ -e {gate} ]; do sleep 0.05; done"
    job = rest.submit("true", waits, "true", name="by task")

    stream = rest.events(f"/v1/jobs/{job['key']}/events")
    seen = until(stream, has_running(1))
    gate.touch()
    seen += until(stream, is_end_of(job["key"]))

    assert len(seen[0].data["tasks"]) == 3
    states = ["WAITING"] * 3
    for event in seen:
        for task in event.data["tasks"]:
            states[task["index"]] = task["state"]
    assert states == ["SUCCEEDED"] * 3
    assert len(seen[-1].data["tasks"]) < 3


def test_a_log_is_followed_to_its_end_and_taken_up_where_it_broke_off(rest):
    job = rest.submit("for n in 1 2 3 4; do echo line $n ü; sleep 0.3; done", name="follow")
    path = f"/v1/jobs/{job['key']}/log/events?task=0"
    first = rest.events(path)
    begin = until(first, lambda event: event.kind == "log" and "line 1" in event.data["text"])
    first.close()

    rest_of_it = until(rest.events(path, last=begin[-1].id), lambda event: event.kind == "end")

    texts = [event.data["text"] for event in (*begin, *rest_of_it) if event.kind == "log"]
    assert "".join(texts) == "".join(f"line {n} ü\n" for n in (1, 2, 3, 4))


def test_a_character_cut_in_two_is_told_whole(rest):
    job = rest.submit("printf '\\303'; sleep 0.8; printf '\\274 whole\\n'", name="cut")

    seen = until(
        rest.events(f"/v1/jobs/{job['key']}/log/events?task=0"), lambda event: event.kind == "end"
    )

    assert "".join(event.data.get("text", "") for event in seen) == "ü whole\n"


def test_a_plain_log_is_followed_to_its_end(rest):
    job = rest.submit("echo begin; sleep 0.5; echo end", name="plain")

    answer = rest.get(f"/v1/jobs/{job['key']}/log?task=0&follow=true")

    assert answer.body == b"begin\nend\n"


def test_of_a_followed_log_no_more_is_given_than_was_asked_for(rest):
    job = rest.submit("echo begin; sleep 0.5; echo middle; sleep 600", name="bounded")
    path = f"/v1/jobs/{job['key']}/log?task=0&follow=true"

    assert rest.get(f"{path}&limit=3").body == b"beg"
    assert rest.get(f"{path}&limit=9").body == b"begin\nmid"
    rest.post(f"/v1/jobs/{job['key']}/cancel", {})


def test_the_log_of_a_job_that_waits_is_followed_when_it_runs(rest, zygote, tmp_path):
    with Server(zygote, tmp_path, "--max-workers=1") as server:
        narrow = Rest(server)
        narrow.submit("sleep 1", name="before")
        job = narrow.submit("echo at last", name="waits")
        assert job["position"] == 1

        answer = narrow.get(f"/v1/jobs/{job['key']}/log?task=0&follow=true")

    assert answer.body == b"at last\n"


def test_open_streams_do_not_keep_a_server_from_ending(zygote, tmp_path):
    with Server(zygote, tmp_path) as server:
        streams = [Rest(server).events("/v1/events") for _ in range(50)]
        for stream in streams:
            assert next(stream).kind == "ready"
        began = time.monotonic()

        server.end(signal.SIGTERM)

        assert time.monotonic() - began < 5
        for stream in streams:
            assert list(stream) == []


def test_a_stream_goes_on_at_the_next_server(zygote, tmp_path):
    with Server(zygote, tmp_path) as server:
        rest = Rest(server)
        stream = rest.events("/v1/events")
        next(stream)
        job = rest.submit("sleep 1", name="survives")
        last = until(stream, lambda event: event.kind == "job")[-1].id
        server.end(signal.SIGKILL)
        server.start()

        seen = until(rest.events("/v1/events", last=last), is_end_of(job["key"]))

    assert seen[-1].data["job"]["outcome"] == "SUCCEEDED"


def test_readers_who_do_not_read_hold_nobody_up(rest):
    job = rest.submit("head -c 30000000 /dev/zero | tr '\\0' x", name="much")
    rest.wait(job["key"])
    port = rest.server.port
    lines = []
    for path in itertools.islice(itertools.cycle(("/v1/events", f"/v1/jobs/{job['key']}/log")), 20):
        line = socket.create_connection(("127.0.0.1", port))
        line.sendall(encode(port, "GET", path, {}, None))
        lines.append(line)
    try:
        began = time.monotonic()
        for _ in range(10):
            rest.read("/v1/server")

        assert time.monotonic() - began < 5
    finally:
        for line in lines:
            line.close()


def test_streams_that_are_left_are_let_go(rest):
    def open_streams():
        text = rest.get("/metrics").body.decode()
        return int(float(text.split("\nfactotum_server_streams ")[1].split("\n")[0]))

    def wait_until_none():
        deadline = time.monotonic() + 30
        while open_streams():
            # A server notices with the next thing that it has to say.
            rest.submit("true", name=f"poke {time.monotonic()}")
            assert time.monotonic() < deadline
            time.sleep(0.2)

    wait_until_none()
    streams = [rest.events("/v1/events") for _ in range(5)]
    for stream in streams:
        next(stream)
    assert open_streams() == 5

    for stream in streams:
        stream.close()
    wait_until_none()


def test_many_watch_one_job(rest):
    job = rest.submit("sleep 1", name="watched by many")
    ended = []

    def watch():
        seen = until(rest.events(f"/v1/jobs/{job['key']}/events"), is_end_of(job["key"]))
        ended.append(json.dumps(seen[-1].data["job"]))

    threads = [threading.Thread(target=watch) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert len(ended) == 20
    assert len(set(ended)) == 1
