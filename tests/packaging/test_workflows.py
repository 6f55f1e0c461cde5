"""The workflows: pinned, modest, and made of the commands that people use. Reads files."""

import re
from typing import Any

import pytest
import yaml

from support.cluster.clusters import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
WORDS_FROM_OUTSIDE = r"\$\{\{[^}]*github\.(event|head_ref|ref_name|base_ref|actor)"
"""What somebody else wrote: put into a command it would be part of the command."""


def steps(path) -> list[dict[str, Any]]:
    content = yaml.safe_load(path.read_text())
    return [step for job in content["jobs"].values() for step in job["steps"]]


def commands(path) -> str:
    return "\n".join(step.get("run", "") for step in steps(path))


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_by_its_commit_and_says_its_version(path):
    used = re.findall(r"^\s*(?:- )?uses: *(.*)$", path.read_text(), re.MULTILINE)

    assert len(used) == sum("uses" in step for step in steps(path)) > 0
    for action in used:
        assert re.fullmatch(r"[\w-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_one_action_has_one_commit_everywhere():
    used = {
        line
        for path in WORKFLOWS
        for line in re.findall("uses: *(.*)$", path.read_text(), re.MULTILINE)
    }

    assert len({action.partition("@")[0] for action in used}) == len(used)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_make_target_that_is_called_exists(path):
    called = set(re.findall(r"\bmake ([a-z]+)", commands(path)))

    assert called
    assert called <= TARGETS


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_program_of_ours_that_is_called_can_be_run(path):
    called = re.findall(r"(?:^|[\s\"(])((?:hack/|\.ci/)[\w/-]+)", commands(path))

    for program in called:
        assert (ROOT / program).stat().st_mode & 0o111, program


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_may_read_and_no_more_unless_a_job_says_so(path):
    content = yaml.safe_load(path.read_text())

    assert content["permissions"] == {"contents": "read"}
    for name, job in content["jobs"].items():
        assert "timeout-minutes" in job, name
        assert "write-all" not in str(job.get("permissions")), name


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_no_token_stays_in_the_checkout_and_nothing_from_outside_gets_into_a_command(path):
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
        assert not re.search(WORDS_FROM_OUTSIDE, step.get("run", "")), step


def test_a_release_is_made_of_nothing_that_others_could_have_left_behind():
    release = (ROOT / ".github" / "workflows" / "release.yml").read_text()

    assert "actions/cache@" not in release
    assert "make images" in release
    assert '"REVISION=$GITHUB_SHA"' in release


def test_ci_calls_what_contributors_are_told_it_calls():
    called = commands(ROOT / ".github" / "workflows" / "ci.yml")

    assert ".ci/run" in called
    assert set(re.findall(r"make ([a-z]+)", (ROOT / ".ci" / "run").read_text())) <= TARGETS
