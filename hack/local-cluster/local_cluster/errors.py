"""The tool's own errors. Each message names the place and the cure."""


class ClusterError(Exception):
    """Something the user can act on; printed without a traceback."""


class StartError(ClusterError):
    """A program of the cluster did not come up; carries its last log lines."""

    def __init__(self, program: str, reason: str, log_tail: str) -> None:
        super().__init__(
            f"{program} {reason}. Its last log lines:\n"
            + ("".join(f"  | {line}\n" for line in log_tail.splitlines()) or "  | (none)\n")
        )
        self.program = program
