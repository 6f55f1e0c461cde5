"""The operator: watches FactotumJobs and brings each to its end.

Observe, decide, apply. ``decide`` is the pure middle; everything else finds
out facts for it or carries out what it said. It never runs a task: the runner
in the Pod does, and tells of it through ``server``.
"""
