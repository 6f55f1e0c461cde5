"""Jobs that a signal stops: what is still told then. Real: tasks, signals, a webhook, TLS."""

import json
import os
import signal
import time

from support.builders.factfiles import task
from support.http import certificates
from support.http.receivers import Receiver, Reply, reply

TAKEN = Reply(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
SLOW = 0.3
"""How long the webhook takes for each event, so that the last ones wait for those before."""


class Stopper:
    """Answers events slowly, and sends this process signals when told of a running task."""

    def __init__(self, signals):
        self._left = signals

    def __call__(self, _, request):
        event = json.loads(request.body)["data"]
        if self._left and event["runState"] == "RUNNING":
            # The second one is for a runner that waits for the webhook only.
            self._left.pop(0)()
        return reply(200, delay=SLOW)


def stop():
    os.kill(os.getpid(), signal.SIGTERM)


def run(run_job, *signals):
    """Run a job that does not end by itself; give its verdict and the states it told of."""
    with (
        Receiver([TAKEN], tls=certificates.serving()) as controller,
        Receiver(Stopper(list(signals))) as webhook,
    ):
        began = time.monotonic()
        _, verdict = run_job(
            task("a", "sleep 30"), controller=controller.url, webhook={"url": webhook.url}
        )
        assert time.monotonic() - began < 15
        return verdict, [json.loads(r.body)["data"]["runState"] for r in webhook.requests]


def test_a_job_that_is_stopped_still_sends_all_its_events(run_job):
    verdict, told = run(run_job, stop)

    assert verdict.interrupted == 1
    assert told[-1] == "FAILED"


def test_a_second_signal_drops_the_events_that_are_left(run_job):
    verdict, told = run(run_job, stop, lambda: (time.sleep(1), stop()))

    assert verdict.interrupted == 1
    assert told[-1] == "RUNNING"
