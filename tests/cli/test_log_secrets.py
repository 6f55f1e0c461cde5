"""The log file and the console keep secrets: of variables, tags, factfiles and addresses.

Real: the installed command; the consumer of events is dead, so that each event leaves a line.
"""

import base64
import json
import urllib.parse

import pytest

from support.builders.factfiles import factfile, task
from support.commands import factotum_command, run_command

DEAD = "http://127.0.0.1:1/"
SECRET = 'p4ss w0rd/"ä"'
FORMS = {
    SECRET,
    SECRET.replace('"', "&quot;"),  # as templates escape it
    SECRET.replace('"', '\\"'),
    urllib.parse.quote(SECRET),
    urllib.parse.quote(SECRET, safe=""),
    urllib.parse.quote_plus(SECRET),
    "p4ss",
    "w0rd",
}


def text(**fields):
    """Return a factfile with one task, which is named as these fields say."""
    given = {"job": "job", "name": "task", "command": "true", "argument": ""} | fields
    return factfile(given["job"], task(given["name"], given["command"], given["argument"]))


@pytest.fixture
def log_of(tmp_path):
    """Run something and return what the log says, after a look for the secret in it."""

    def run(content, *options, command="run"):
        (tmp_path / "job.factfile").write_text(content)
        argv = [factotum_command(), command, "job.factfile", *options]
        done = run_command(argv, cwd=tmp_path)
        log = (tmp_path / ".factotum" / "factotum.log").read_text()
        found = {form for form in FORMS if form in log}
        assert found == set()
        assert not [word for word in log.replace('"', " ").split() if holds_secret_in_base64(word)]
        assert "Traceback" not in done.err
        return done, log

    return run


def holds_secret_in_base64(word):
    try:
        return b"p4ss" in base64.b64decode(word + "==")
    except ValueError:
        return False


VARIABLE = ("--env", json.dumps({"x": SECRET}))
TAG = ("--tag", f"x,{SECRET}")


@pytest.mark.parametrize("given", [VARIABLE, TAG], ids=["variable", "tag"])
@pytest.mark.parametrize(
    "mode", [["--webhook", DEAD, "--webhook-backoff", "0"], ["--dry-run"]], ids=["run", "dry-run"]
)
@pytest.mark.parametrize("place", ["job", "name", "command", "argument"])
def test_value_is_not_in_the_log_wherever_the_factfile_uses_it(given, mode, place, log_of):
    holder = "x" if given is VARIABLE else "tag:x"
    done, log = log_of(text(**{place: f"true {{{{{{{holder}}}}}}}"}), *given, *mode)

    assert done.exit in (0, 2)
    assert "'true {{{" in log or place in ("command", "argument")
    assert ("Failed to send" in log) is ("--webhook" in mode)


def test_task_is_named_in_the_log_as_it_is_written_also_when_it_fails_or_dies(log_of):
    lines = factfile(
        "{{{x}}}",
        task("dies {{{x}}}", "kill -9 $$"),
        task("fails {{{x}}}", "exit 7"),
        task("skipped {{{x}}}", after=["fails {{{x}}}"]),
    )

    _, log = log_of(lines, *VARIABLE)

    assert "Task 'dies {{{x}}}' was ended by signal 9" in log
    assert "Task 'fails {{{x}}}' ended after" in log
    assert "Task 'skipped {{{x}}}' is skipped" in log


@pytest.mark.parametrize(
    "broken",
    [
        factfile("x", task("{{{x}}}", ok=[])),
        factfile("x", task("{{{x}}}", ok=[1], terminate=[1])),
        factfile("x", task("{{{x}}}"), task("{{{x}}}")),
        factfile("x", task("a", after=["{{{x}}}"])),
        factfile("x", task("p4ss {{")),
        factfile("x", task("a", "p4ss {{.}}")),
        factfile("x", task("a")).replace('"executor"', '"p4ss w0rd"'),
        factfile("x", task("a"))[:-9] + "p4ss",
    ],
    ids=["no-code", "two-codes", "twice", "unknown", "template", "dot", "schema", "syntax"],
)
@pytest.mark.parametrize("command", ["run", "validate"])
def test_complaint_about_a_factfile_is_in_the_log_without_its_text(broken, command, log_of):
    done, log = log_of(broken, *VARIABLE, command=command)

    assert done.exit == 1
    assert "'job.factfile' is not a valid factotum factfile" in log


@pytest.mark.parametrize(
    "env", [f"{{{SECRET}", f'{{"x":["{SECRET}"]}}', f'"{SECRET}"', f'{{"x":"{SECRET}","y":1}}']
)
def test_complaint_about_variables_is_in_the_log_without_their_values(env, log_of):
    done, log = log_of(text(), "--env", env)

    assert done.exit == 3
    assert "WARN factotum - --env: " in log


@pytest.mark.parametrize(
    "url",
    [
        "http://user:p4ss@127.0.0.1:1/",
        "http://:p4ss@127.0.0.1:1",
        "http://p4ss@127.0.0.1:1/",
        f"http://user:{urllib.parse.quote(SECRET, safe='')}@127.0.0.1:1/",
        "http://a@p4ss@127.0.0.1:1/",
        "http://127.0.0.1:1/?token=p4ss",
        "http://127.0.0.1:1?p4ss",
        "http://127.0.0.1:1/services/T0/p4ss/w0rd",
        "http://127.0.0.1:1/#p4ss",
        "http://\\user:p4ss@127.0.0.1:1\\w0rd",
    ],
)
def test_address_stands_in_the_log_and_on_the_console_by_its_host_alone(url, log_of):
    done, log = log_of(text(), "--webhook", url, "--webhook-backoff", "0")

    assert "Failed to send webhook update to 'http://127.0.0.1:1/" in log
    assert "p4ss" not in done.out + done.err
    assert log.endswith("5 of 5 events were not delivered\n")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("ftp://user:p4ss@host/", "ftp://***@host/"),
        ("user:p4ss@host/x/y", "***@host/..."),
        ("HTTP://user:p4ss@host", "HTTP://***@host"),
        ("http://user:p4ss/w0rd@host/", "http://***"),
        ("http://user:p4ss#w0rd@host:x/y", "http://***"),
        ("http://user:p4ss@@ho st/", "http://***@ho st/"),
        ("http://ho st/@p4ss", "http://***"),
        ("http://user:p4ss@", "http://***@"),
        ("http://:p4ss@", "http://***@"),
        ("http://p4ss@", "http://***@"),
        ("http://user:p4ss@/", "http://***@/"),
        ("http://:p4ss@host:99999", "http://***@host:99999"),
        ("http://ho st/?token=p4ss", "http://ho st/..."),
        ("http://ho st?p4ss", "http://ho st?..."),
        ("http://ho st/services/p4ss", "http://ho st/..."),
        ("http://ho st#p4ss", "http://ho st#..."),
        ("http://ho st\\p4ss", "http://ho st\\..."),
    ],
)
def test_refused_address_is_shown_by_what_is_wrong_with_it(url, shown, log_of):
    done, log = log_of(text(), "--webhook", url)

    assert done.exit == 3
    assert done.out.startswith(f'Error: the specifed webhook URL "{shown}" is invalid. Reason: ')
    assert "p4ss" not in done.out + done.err + log
