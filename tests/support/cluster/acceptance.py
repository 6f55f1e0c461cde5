"""Where acceptance checks put their figures: printed, and kept in build/acceptance.jsonl."""

import json
import os
import time

from support.cluster.clusters import ROOT

_FILE = ROOT / "build" / "acceptance.jsonl"


def is_full() -> bool:
    """Tell whether the checks are to run in the sizes that the project promises."""
    return os.environ.get("ACCEPTANCE", "") == "full"


def sized(full: int, quick: int) -> int:
    """Choose a size: what the project promises, or a quick one."""
    return full if is_full() else quick


def report(item: str, **figures: object) -> None:
    """Print a line of figures and keep it."""
    shown = " ".join(f"{name}={_text(value)}" for name, value in figures.items())
    print(f"ACCEPTANCE {item} {shown}", flush=True)
    _FILE.parent.mkdir(exist_ok=True)
    line = {"item": item, "time": round(time.time()), "full": is_full()} | figures
    with _FILE.open("a") as file:
        file.write(json.dumps(line, default=str) + "\n")


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"
    return str(value).replace(" ", "_")
