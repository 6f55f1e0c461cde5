"""What README and the other texts show is true. Reads files; the commands run elsewhere."""

import re

import pytest

from support.cluster.clusters import ROOT

README = (ROOT / "README.md").read_text()
TEXTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "examples/README.md")]
TEXTS.append(ROOT / "charts/factotum-operator/README.md")
TEXTS += sorted((ROOT / "docs").rglob("*.md"))


def test_the_readmes_job_is_the_example():
    (shown,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)

    assert shown == (ROOT / "examples" / "echo.yaml").read_text()


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(text):
    links = re.findall(r"\]\((?!https?://)([^)#]+)", text.read_text())

    assert [link for link in links if not (text.parent / link).exists()] == []


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_make_target_named_in_a_text_exists(text):
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", text.read_text(), re.MULTILINE))

    assert named - targets == set()


def test_the_promised_targets_are_there_and_described():
    described = re.findall(r"^([a-z]+):.*## \S", (ROOT / "Makefile").read_text(), re.MULTILINE)

    assert {"demo", "down", "test", "lint", "images", "bench", "acceptance"} <= set(described)
