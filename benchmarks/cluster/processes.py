"""Processor time and memory of single processes, as the kernel counts them."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """Give the processor time that a process has used, its threads' included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def all_cpu_seconds(pids: Mapping[str, int]) -> dict[str, float]:
    """Give the processor time of several processes, by name."""
    return {name: cpu_seconds(pid) for name, pid in pids.items()}


def mebibytes(pid: int, field: str) -> float:
    """Give a size of a process: VmRSS is what it has now, VmHWM the most it ever had."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"{field}:\s+(\d+)", status)
    if found is None:
        raise LookupError(f"process {pid} has no {field}")
    return int(found[1]) / 1024


def busy_seconds() -> float:
    """Give the processor time of the whole machine, whoever used it."""
    first = Path("/proc/stat").read_text().partition("\n")[0]
    fields = [int(field) for field in first.split()[1:9]]
    idle, waiting = fields[3], fields[4]
    return (sum(fields) - idle - waiting) / _TICKS
