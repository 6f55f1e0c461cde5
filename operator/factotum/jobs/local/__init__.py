"""The backend without a cluster: jobs in SQLite, run by processes of this machine.

A runner claims its attempt, reports, and leaves its verdict in a file, as it
does in a Pod; so the server may be killed at any moment, and the next one takes
up where it was.
"""
