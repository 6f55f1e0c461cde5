"""Runs seeds one after the other on one cluster."""

import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from chaos import judging, plan, reporting
from chaos.driving import Driver
from chaos.history import Violation
from chaos.reporting import Result
from chaos.world import Ground, World


def run_seeds(
    seeds: Sequence[int], jobs: int, output: Path, *, quick: bool = False
) -> Iterator[Result]:
    """Run the plans of seeds; the evidence of those that fail is left in `output/SEED`."""
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="chaos-") as scratch:
        folder = Path(scratch)
        with Ground(folder) as ground:
            for seed in seeds:
                drawn = plan.draw(seed, jobs, quick=quick)
                print(f"\nseed {seed}, {jobs} jobs, plan {drawn.digest()}\n{drawn.summary()}")
                yield _run(drawn, ground, folder, output)


def _run(drawn: plan.Plan, ground: Ground, folder: Path, output: Path) -> Result:
    began = time.monotonic()
    with World(ground, drawn.seed, folder / f"seed-{drawn.seed}") as world:
        try:
            with Driver(drawn, world) as driver:
                history = driver.run()
        except BaseException:
            reporting.keep_folder(world, folder, output / str(drawn.seed))
            raise
        requests: Counter[str] = Counter()
        for weather in (world.claims_weather, world.api_weather):
            requests.update(weather.figures())
        result = Result(
            history=history,
            violations=judging.judge(history),
            seconds=time.monotonic() - began,
            requests=requests,
        )
        if result.violations:
            reporting.keep(result, world, folder, output / str(drawn.seed))
    _say(result, output / str(drawn.seed))
    with (output / "results.jsonl").open("a") as file:
        file.write(result.to_json() + "\n")
    return result


def _say(result: Result, evidence: Path) -> None:
    print(json.dumps(result.figures))
    for violation in result.violations:
        print(_line(violation))
    if result.violations:
        print(f"evidence: {evidence}")


def _line(violation: Violation) -> str:
    return f"  {violation.kind}: {violation.subject}: {violation.detail.splitlines()[0][:300]}"
