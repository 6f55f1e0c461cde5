"""Properties say what is true, not how fast a busy machine finds out: no deadlines.

The stage is a runner in this process.
"""

import hypothesis
import pytest

from support.runners import Stage

hypothesis.settings.register_profile("no-deadline", deadline=None)
hypothesis.settings.load_profile("no-deadline")


@pytest.fixture
def stage(tmp_path):
    stages = []

    def build(text, **options):
        stages.append(Stage(tmp_path, text, **options))
        return stages[-1]

    yield build
    for each in stages:
        for file in each._files:
            file.close()
