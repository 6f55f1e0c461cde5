"""The systemd unit of the job server: systemd takes every word of it, and it is as tight as said.

Real: systemd's own judgement of the file, with this machine's command in it.
"""

import configparser
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from factotum.gateway import options
from support.cluster.clusters import ROOT

UNIT = ROOT / "examples" / "factotum-server.service"
COMMAND = "/opt/factotum/bin/factotum"
MOST_EXPOSED = 2.0
"""Of 10, in systemd's own count; one without any restriction has 9.6."""


@pytest.fixture
def installed(tmp_path):
    """The unit as it would be on a machine where the command is ours."""

    def install(text):
        own = str(Path(sys.executable).with_name("factotum"))
        path = tmp_path / UNIT.name
        path.write_text(text.replace(COMMAND, own))
        return str(path)

    return install


def analyze(*words):
    command = ["systemd-analyze", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def settings():
    parser = configparser.RawConfigParser(strict=True)
    parser.optionxform = str
    parser.read_string(UNIT.read_text())
    return parser["Service"]


def test_systemd_takes_it_without_a_word(installed):
    assert analyze("verify", "--man=no", installed(UNIT.read_text())) == (0, "")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("KillMode=process", "KillMode=nobody"),
        ("ProtectSystem=strict", "ProtectSystems=strict"),
        (COMMAND, "/nowhere/factotum"),
        ("SystemCallFilter=@system-service", "SystemCallFilter=@no-such-group"),
    ],
)
def test_systemd_would_say_what_is_wrong(installed, before, after):
    text = UNIT.read_text()
    assert before in text
    assert analyze("verify", "--man=no", installed(text.replace(before, after))) != (0, "")


def test_it_is_as_tight_as_said(installed):
    _, told = analyze("security", "--offline=true", "--no-pager", installed(UNIT.read_text()))
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", told)
    assert found is not None, told
    assert float(found[1]) <= MOST_EXPOSED


def test_the_server_understands_its_command():
    command = shlex.split(settings()["ExecStart"].replace("%S", "/var/lib"))
    assert command[:2] == [COMMAND, "server"]
    given = options.parse(options.OURS, command[2:])
    assert given.ip == "127.0.0.1"
    assert given.text("--data-dir") == "/var/lib/factotum/jobs"


def test_jobs_outlive_a_restart_and_keep_what_they_use():
    said = settings()
    assert (said["KillMode"], said["OOMPolicy"]) == ("process", "continue")
    # Each of these would take something from jobs that go on: their user, or their files.
    assert not {"DynamicUser", "PrivateTmp", "RuntimeDirectory", "RemoveIPC"} & set(said)
    kept = {f"%S/{folder}" for folder in said["StateDirectory"].split()}
    bound = {pair.partition(":")[0] for pair in said["BindPaths"].split()}
    assert bound <= kept
