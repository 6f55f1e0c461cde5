"""The table: what to do about a job, given every fact about it. Pure; one policy a file."""
