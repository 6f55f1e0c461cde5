"""The Pod's side: ``factotum work`` claims a job, runs it and tells of it.

Uses the runner as ``factotum run`` does, and knows nothing of Kubernetes but
the files and variables that its Pod gives it.
"""
