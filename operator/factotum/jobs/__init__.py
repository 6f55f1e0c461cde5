"""The job service: what every front door calls, and the backends that do it.

Knows jobs as users know them: submitted, queued, run, stopped, run again. Must
not know who asked: HTTP, a page, a schedule. The backends are rooms of their
own below it and do not know each other.
"""
