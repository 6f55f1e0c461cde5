"""Runs the tasks of an execution as processes, in one single-threaded event loop.

Knows processes, signals, pipes and this machine's identity; knows nothing of
command lines, webhooks or Kubernetes.
"""
