"""Where images are pushed to, and what a cluster gets to pull them: what is refused, and how.

Real: make, the demo and its programs; no registry and no cluster, as nothing gets that far.
"""

import base64
import json
import os
import subprocess
import sys

import pytest

from support.cluster.clusters import ROOT, programs

HOSTILE = [
    "registry.example.org/me,replicas=99",
    "registry.example.org/me --tls-verify=false",
    "registry.example.org/$(touch HERE)",
    "registry.example.org/`touch HERE`",
    "registry.example.org/me;touch HERE",
    "registry.example.org/me\ntouch HERE",
    "$(shell touch HERE)",
    "${shell touch HERE}",
    "registry.example.org/../me",
    "registry.example.org//me",
    "registry.example.org:port/me",
    "registry.example.org/Me",
    "https://registry.example.org/me",
    "user:password@registry.example.org/me",
    "registry.example.org/me:1",
    "--all",
    "",
    "r/" + "a" * 300,
]
GOOD = [
    "localhost:5000",
    "registry.example.org",
    "registry.example.org/me",
    "192.0.2.1:5000/team/a_b/c-d.e",
    "ghcr.io/some-one/some.thing",
]


@pytest.mark.parametrize("registry", HOSTILE, ids=range(len(HOSTILE)))
def test_what_is_no_registry_is_refused_and_never_carried_out(tmp_path, registry):
    registry = registry.replace("HERE", str(tmp_path / "here"))

    for way in ("argument", "environment"):
        told = [f"REGISTRY={registry}"] if way == "argument" else []
        done = subprocess.run(
            ["make", "push", *told],
            cwd=ROOT,
            env=os.environ | ({} if told else {"REGISTRY": registry}),
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.returncode != 0
        assert "must be a host with a path" in done.stderr
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("registry", GOOD)
def test_registries_as_people_have_them_are_taken(registry):
    push = str(ROOT / "hack" / "images" / "push")

    subprocess.run([push, registry], env=os.environ | {"CHECK_ONLY": "yes"}, check=True)


def pull_secret(tmp_path, config, registry="registry.example.org:5000/team"):
    file = tmp_path / "config.json"
    file.write_text(config if isinstance(config, str) else json.dumps(config))
    program = str(ROOT / "hack" / "pull_secret.py")
    return subprocess.run(
        [sys.executable, program, "secret", str(file), registry, "name", "namespace"],
        capture_output=True,
        text=True,
        check=False,
    )


def entry(password):
    return {"auth": base64.b64encode(f"me:{password}".encode()).decode()}


@pytest.mark.parametrize(
    ("entries", "registry"),
    [
        ({"registry.example.org:5000": "right"}, "registry.example.org:5000/team"),
        ({"https://registry.example.org/v1/": "right"}, "registry.example.org/team"),
        ({"https://index.docker.io/v1/": "right"}, "docker.io/me"),
        (
            {"registry.example.org": "wrong", "registry.example.org/team": "right"},
            "registry.example.org/team",
        ),
        (
            {"registry.example.org/team2": "wrong", "registry.example.org": "right"},
            "registry.example.org/team",
        ),
    ],
)
def test_a_pull_secret_holds_one_registrys_entry(tmp_path, entries, registry):
    others = {"other.example": entry("wrong")}
    config = {"auths": others | {name: entry(word) for name, word in entries.items()}}

    done = pull_secret(tmp_path, config, registry)

    secret = json.loads(done.stdout)
    content = json.loads(base64.b64decode(secret["data"][".dockerconfigjson"]))
    assert secret["type"] == "kubernetes.io/dockerconfigjson"
    assert content == {"auths": {registry: entry("right")}}


@pytest.mark.parametrize(
    "config",
    [
        "",
        "sesame-7",
        "[]",
        '{"auths": ["sesame-7"]}',
        '{"auths": {"registry.example.org:5000": {}}}',
        '{"auths": {"registry.example.org:5000": {"auth": 7}}}',
        '{"auths": {"registry.example.org:5000": {"auth": "sesame-7"}}}',
        '{"auths": {"registry.example.org": {"auth": "bWU6c2VzYW1lLTc="}}}',
        '{"auths": {}, "credsStore": "sesame-7"}',
    ],
)
def test_a_file_without_the_password_is_refused_and_not_shown(tmp_path, config):
    done = pull_secret(tmp_path, config)

    assert done.returncode == 1
    assert done.stdout == ""
    assert "config.json" in done.stderr
    assert "Traceback" not in done.stderr
    assert "sesame" not in done.stderr


def test_a_file_that_is_not_there_is_named():
    program = str(ROOT / "hack" / "pull_secret.py")
    done = subprocess.run(
        [sys.executable, program, "secret", "/nowhere/config", "r", "n", "n"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stderr) == (
        1,
        "hack/pull_secret.py: /nowhere/config: No such file or directory\n",
    )


@pytest.fixture(scope="module")
def tools():
    return programs("kubectl", "helm")


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("context", "settings", "words"),
    [
        ("kind-some", [], "no kind; cure: install kind"),
        ("k3d-some", [], "no k3d; cure: install k3d"),
        ("kind-some", ["REGISTRY=registry.example.org/me"], "no kind; cure: install kind"),
        ("other", [], "other is neither kind nor k3d; say where to push the images to"),
        ("other", ["REGISTRY=registry.example.org/Me"], "REGISTRY= names no registry"),
        (
            "other",
            ["REGISTRY=registry.example.org/me", "PULL_CONFIG=/nowhere"],
            "PULL_CONFIG=/nowhere cannot be read",
        ),
        ("", [], "the kubeconfig has no current context"),
    ],
)
def test_the_demo_says_what_it_lacks_before_it_does_anything(
    tools, tmp_path, context, settings, words
):
    kubeconfig = {"apiVersion": "v1", "kind": "Config", "current-context": context}
    (tmp_path / "kubeconfig").write_text(json.dumps(kubeconfig))

    done = subprocess.run(
        ["make", "demo", "CLUSTER=current", *settings],
        cwd=ROOT,
        env=os.environ
        | {"PATH": f"{tools}:/usr/bin:/bin", "KUBECONFIG": str(tmp_path / "kubeconfig")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    assert words in done.stderr
    assert "==>" not in done.stdout


@pytest.mark.parametrize(
    ("given", "after"),
    [
        (None, ["name"]),
        ([], ["name"]),
        (["other"], ["other", "name"]),
        (["name"], ["name"]),
        (["other", "name", "third"], ["other", "name", "third"]),
    ],
)
def test_a_service_account_keeps_the_secrets_that_it_has(given, after):
    account = {"metadata": {}} if given is None else {"imagePullSecrets": named(given)}

    with_ours = patched(account, "give")
    without = patched(with_ours, "take")

    assert with_ours["imagePullSecrets"] == named(after)
    assert without["imagePullSecrets"] == named([n for n in after if n != "name"])
    assert patched(without, "take") == without


def named(names):
    return [{"name": name} for name in names]


def patched(account, verb):
    """Ask for a patch, and carry out as much of JSON Patch as it may use."""
    program = str(ROOT / "hack" / "pull_secret.py")
    words = [sys.executable, program, verb, "name"]
    done = subprocess.run(
        words, input=json.dumps(account), capture_output=True, text=True, check=True
    )
    result = json.loads(json.dumps(account))
    for step in json.loads(done.stdout):
        match step["path"].split("/")[2:]:
            case []:
                result["imagePullSecrets"] = step["value"]
            case ["-"]:
                result["imagePullSecrets"].append(step["value"])
            case [index, "name"]:
                assert result["imagePullSecrets"][int(index)]["name"] == step["value"]
            case [index]:
                del result["imagePullSecrets"][int(index)]
    return result
