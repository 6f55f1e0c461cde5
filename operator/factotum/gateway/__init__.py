"""The HTTP front door of the job service: the original server's API, and what comes beside it.

Knows HTTP and the service. Must not know what a backend does or where it keeps
things.
"""
