"""The operator's settings: flags first, then the environment, then defaults."""

import pytest

from factotum.controller.settings import Settings
from factotum.persistence.access import Access

FLAGS = {
    "--max-workers": ("7", "max_workers", 7),
    "--max-workers-per-namespace": ("3", "max_workers_per_namespace", 3),
    "--max-jobs": ("50", "max_jobs", 50),
    "--pod-pending-timeout": ("60", "pod_pending_timeout", 60.0),
    "--successful-jobs-history-limit": ("3", "successful_jobs_history_limit", 3),
    "--failed-jobs-history-limit": ("0", "failed_jobs_history_limit", 0),
    "--successful-pods-history-limit": ("2", "successful_pods_history_limit", 2),
    "--failed-pods-history-limit": ("9", "failed_pods_history_limit", 9),
    "--runner-image": ("r:1", "runner_image", "r:1"),
    "--runner-image-pull-policy": ("Always", "runner_image_pull_policy", "Always"),
    "--image-volumes": ("never", "image_volumes", "never"),
    "--runner-resources": (
        '{"limits": {"cpu": "1"}}',
        "runner_templates",
        ({"spec": {"containers": [{"name": "factotum", "resources": {"limits": {"cpu": "1"}}}]}},),
    ),
    "--runner-pod-template": (
        '{"spec": {"runtimeClassName": "sandboxed"}}',
        "runner_templates",
        ({"spec": {"runtimeClassName": "sandboxed"}},),
    ),
    "--claims-url": ("https://op:1/", "claims_url", "https://op:1"),
    "--operator-namespace": ("ours", "operator_namespace", "ours"),
    "--tls-secret": ("kept", "tls_secret", "kept"),
    "--tls-name": ("a.b", "tls_names", ("a.b",)),
    "--admission-address": ("h:1", "admission_port", 1),
    "--admission-webhook": ("w", "admission_webhook", "w"),
    "--token-audience": ("aud", "token_audience", "aud"),
    "--advertise-address": ("fd00::1:9", "advertise_address", "fd00::1:9"),
    "--lease": ("a/b", "lease", "a/b"),
    "--identity": ("op-1", "identity", "op-1"),
    "--consul-address": ("consul:8500", "consul_address", "consul:8500"),
    "--consul-namespace": ("a/b", "consul_namespace", "a/b"),
    "--consul-name": ("me", "consul_name", "me"),
    "--consul-kubernetes-namespace": ("jobs", "consul_kubernetes_namespace", "jobs"),
    "--dns-timeout": ("1.5", "dns_timeout_seconds", 1.5),
    "--log-format": ("json", "log_format", "json"),
}


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for flag in [
        *FLAGS,
        "--namespace",
        "--claims-address",
        "--liveness-address",
        "--metrics-address",
    ]:
        monkeypatch.delenv(variable(flag), raising=False)
    monkeypatch.delenv("FACTOTUM_FORCE_CONSUL_NAME", raising=False)
    monkeypatch.delenv("FACTOTUM_DRAIN", raising=False)


def variable(flag):
    return "FACTOTUM_" + flag.removeprefix("--").replace("-", "_").upper()


def test_without_anything_the_defaults_hold():
    assert Settings.from_arguments([]) == Settings()


@pytest.mark.parametrize("flag", FLAGS)
def test_a_flag_sets_its_field(flag):
    text, name, value = FLAGS[flag]

    assert getattr(Settings.from_arguments([flag, text]), name) == value


@pytest.mark.parametrize("flag", FLAGS)
def test_a_variable_sets_what_its_flag_does(flag, monkeypatch):
    text, name, value = FLAGS[flag]
    monkeypatch.setenv(variable(flag), text)

    assert getattr(Settings.from_arguments([]), name) == value


def test_a_flag_wins_over_its_variable(monkeypatch):
    monkeypatch.setenv("FACTOTUM_MAX_WORKERS", "3")

    assert Settings.from_arguments(["--max-workers", "4"]).max_workers == 4


def test_namespaces_are_repeated_flags_or_one_variable(monkeypatch):
    assert Settings.from_arguments(["--namespace", "a", "--namespace", "b"]).namespaces == (
        "a",
        "b",
    )
    monkeypatch.setenv("FACTOTUM_NAMESPACE", "c,d,")
    assert Settings.from_arguments([]).namespaces == ("c", "d")


def test_addresses_have_a_host_and_a_port():
    settings = Settings.from_arguments(
        ["--claims-address", "127.0.0.1:9", "--liveness-address", "[::]:0"]
    )

    assert (settings.claims_host, settings.claims_port) == ("127.0.0.1", 9)
    assert settings.liveness_port == 0
    assert settings.metrics_port == Settings().metrics_port == 8082


def test_figures_can_be_served_elsewhere_or_nowhere():
    given = Settings.from_arguments(["--metrics-address", "127.0.0.1:9100"])

    assert (given.metrics_host, given.metrics_port) == ("127.0.0.1", 9100)
    assert Settings.from_arguments(["--metrics-address", "127.0.0.1:0"]).metrics_port == 0


@pytest.mark.parametrize(
    "argv",
    [
        ["--max-workers", "0"],
        ["--max-workers-per-namespace", "-1"],
        ["--max-jobs", "0"],
        ["--max-workers", "many"],
        ["--lease", "no-namespace"],
        ["--lease", "a/../b"],
        ["--identity", "two words"],
        ["--identity", "with_underscore"],
        ["--advertise-address", "no-port"],
        ["--claims-address", "nowhere"],
        ["--claims-address", "host:port"],
        ["--log-format", "xml"],
        ["--no-such-flag"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant_ends_the_program_with_a_word(argv, capsys):
    with pytest.raises(SystemExit) as caught:
        Settings.from_arguments(argv)

    assert caught.value.code
    assert isinstance(caught.value.code, str) or capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "forced"), [("", False), ("0", False), ("false", False), ("1", True), ("true", True)]
)
def test_forcing_the_consul_name_is_a_switch(text, forced, monkeypatch):
    monkeypatch.setenv("FACTOTUM_FORCE_CONSUL_NAME", text)

    assert Settings.from_arguments([]).force_consul_name is forced


def test_no_limit_per_namespace_is_a_zero():
    chosen = Settings.from_arguments(["--max-workers-per-namespace", "0"])

    assert chosen.max_workers_per_namespace is None


@pytest.mark.parametrize(
    ("argv", "value", "drains"),
    [([], "", False), (["--drain"], "", True), ([], "true", True), ([], "false", False)],
)
def test_draining_is_a_flag_or_a_variable(argv, value, drains, monkeypatch):
    monkeypatch.setenv("FACTOTUM_DRAIN", value)

    assert Settings.from_arguments(argv).drain is drains


@pytest.mark.parametrize(
    "words",
    [
        ["--pod-pending-timeout", "-1"],
        ["--pod-pending-timeout", "inf"],
        ["--pod-pending-timeout", "nan"],
        ["--pod-pending-timeout", "soon"],
        ["--failed-jobs-history-limit", "-1"],
        ["--successful-pods-history-limit", "all"],
    ],
)
def test_times_and_limits_that_are_none_are_refused(words, capsys):
    with pytest.raises(SystemExit):
        Settings.from_arguments(words)

    assert words[0] in capsys.readouterr().err


def test_a_limit_that_is_empty_is_none():
    assert Settings.from_arguments(["--failed-jobs-history-limit", ""]) == Settings()


def test_how_consul_lets_us_in_is_told_by_files(monkeypatch):
    for flag in ("ca-file", "cert-file", "key-file", "token-file", "tls-name"):
        monkeypatch.delenv(variable(f"--consul-{flag}"), raising=False)
    words = ["--consul-ca-file=ca", "--consul-cert-file=c", "--consul-key-file=k"]
    read = Settings.from_arguments([*words, "--consul-token-file=t", "--consul-tls-name=n"])

    assert read.consul_access == Access(
        tls=True, ca_file="ca", cert_file="c", key_file="k", token_file="t", server_name="n"
    )
    assert Settings.from_arguments(["--consul-tls"]).consul_access == Access(tls=True)
    assert not Settings.from_arguments(["--consul-token-file=t"]).consul_access.tls


def test_consuls_own_variables_count(monkeypatch):
    monkeypatch.setenv("CONSUL_HTTP_TOKEN", "hush\n")
    monkeypatch.setenv("CONSUL_HTTP_SSL", "true")

    assert Settings.from_arguments([]).consul_access == Access(tls=True, token="hush")


def test_half_of_a_certificate_is_refused():
    with pytest.raises(SystemExit, match="--consul-cert-file and --consul-key-file go together"):
        Settings.from_arguments(["--consul-cert-file=c"])


@pytest.mark.parametrize(
    ("flag", "value", "words"),
    [
        ("--runner-pod-template", "{", "is no JSON"),
        ("--runner-pod-template", "[" * 100_000, "is no JSON"),
        ("--runner-pod-template", "[]", "must be a JSON object"),
        (
            "--runner-pod-template",
            '{"spec": {"restartPolicy": "Always"}}',
            "cannot be laid over jobs:\n  spec.restartPolicy: a run that has begun",
        ),
        (
            "--runner-pod-template",
            '{"spec": {"volumes": [{"name": "x", "projected": {"sources": ['
            '{"serviceAccountToken": {"audience": "aud", "path": "t"}}]}}]}}',
            "serviceAccountToken.audience: tokens for aud",
        ),
        ("--runner-resources", '{"limits": 1}', "\n  limits: expected an object"),
        ("--runner-resources", '[{"limits": 1}]', "must be a JSON object"),
    ],
)
def test_defaults_that_cannot_be_laid_over_jobs_are_told_at_the_start(flag, value, words):
    with pytest.raises(SystemExit) as raised:
        Settings.from_arguments(["--token-audience=aud", flag, value])

    assert str(raised.value).startswith(f"factotum-operator: {flag} ")
    assert words in str(raised.value)


def test_resources_come_before_the_template_that_may_say_otherwise():
    template = '{"spec": {"hostname": "a"}}'
    settings = Settings.from_arguments(
        ["--runner-pod-template", template, "--runner-resources", '{"limits": {"cpu": 1}}']
    )

    assert [next(iter(each["spec"])) for each in settings.runner_templates] == [
        "containers",
        "hostname",
    ]
