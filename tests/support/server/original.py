"""What is asked of a server under the original's name, and where its answers are found."""

import json
import sys
from pathlib import Path

from support.server.running import factfile

OWN = Path(sys.executable).parent / "factotum"
JSON = {"Content-Type": "application/json"}
PREFIX = "com.snowplowanalytics/factotum"
ECHO = factfile("echo")


def log_of(server):
    return server.process.out.read_text()


def message(answer):
    return json.loads(answer.body)["message"]


def body(path, *args, **more):
    return {"jobName": "job", "factfilePath": str(path), "factfileArgs": list(args)} | more
