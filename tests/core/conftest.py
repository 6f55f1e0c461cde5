"""Properties say what is true, not how fast a busy machine finds out: no deadlines."""

import hypothesis

hypothesis.settings.register_profile("no-deadline", deadline=None)
hypothesis.settings.load_profile("no-deadline")
