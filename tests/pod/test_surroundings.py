"""What the Pod gives its runner, and what of it the tasks get. Pure."""

import pytest

from factotum.pod.surroundings import MissingVariableError, Surroundings

ENVIRON = {
    "FACTOTUM_OPERATOR_URL": "https://operator:8080/",
    "FACTOTUM_OPERATOR_CA": "CA",
    "FACTOTUM_JOB_UID": "uid",
    "FACTOTUM_ATTEMPT": "1",
    "FACTOTUM_LAUNCH": "2",
    "PATH": "/bin",
    "PASSWORD": "from a Secret",
}


def test_the_variables_of_a_pod_are_read():
    surroundings = Surroundings(ENVIRON)

    assert surroundings.operator_url == "https://operator:8080"
    assert (surroundings.job_uid, surroundings.attempt, surroundings.launch) == ("uid", "1", "2")
    assert surroundings.token_file == "/var/run/secrets/factotum/token"
    assert surroundings.termination_log == "/dev/termination-log"
    assert surroundings.webhook_url == ""


def test_tasks_get_the_pods_environment_without_our_own_variables():
    more = {
        "FACTOTUM_WEBHOOK_URL": "http://secret",
        "FACTOTUM_TERMINATION_LOG": "/log",
        "FACTOTUM_TOKEN_FILE": "/token",
    }

    surroundings = Surroundings(ENVIRON | more)

    assert surroundings.task_environ == {"PATH": "/bin", "PASSWORD": "from a Secret"}
    assert surroundings.webhook_url == "http://secret"
    assert (surroundings.termination_log, surroundings.token_file) == ("/log", "/token")


@pytest.mark.parametrize("name", [n for n in ENVIRON if n.startswith("FACTOTUM_")])
@pytest.mark.parametrize("value", [None, ""], ids=["missing", "empty"])
def test_outside_of_a_pod_the_error_says_what_is_missing_and_what_to_do(name, value):
    environ = {key: text for key, text in ENVIRON.items() if key != name}
    if value is not None:
        environ[name] = value

    with pytest.raises(MissingVariableError, match=f"^{name} not set: .*'factotum run'"):
        Surroundings(environ)
