"""The test node as a program: `python -m test_node --kubeconfig FILE [NODE ...]`."""

import argparse
import asyncio
import logging
import os
import shlex
import signal
from pathlib import Path

from test_node.node import TestNode
from test_node.runners import Player


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="test_node", description="Play kubelet for fake nodes.")
    parser.add_argument("--kubeconfig", default=os.environ.get("KUBECONFIG"), help="(%(default)s)")
    parser.add_argument("--runner", help="command for `factotum work`, as one shell-quoted word")
    parser.add_argument(
        "--env", action="append", default=[], metavar="NAME=VALUE", help="laid over each Pod's own"
    )
    parser.add_argument("--folder", type=Path, help="for work folders and logs; kept")
    parser.add_argument(
        "--replay",
        type=Path,
        metavar="TRACE",
        help="play every runner in this process, for load, and write to a file when it said what",
    )
    parser.add_argument("nodes", nargs="*", metavar="NODE", help="(every Node with type=fake)")
    return parser


def _player(trace: Path) -> Player:
    from test_node import replay  # noqa: PLC0415 - the operator's own code: only for who asks

    return replay.Player(trace=trace.open("a"))


async def _serve(node: TestNode) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    async with node:
        await stopped.wait()


def main() -> None:
    """Serve until told to stop."""
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.kubeconfig is None:
        parser.error("give --kubeconfig or set KUBECONFIG")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    options = {"runner": shlex.split(arguments.runner)} if arguments.runner else {}
    environment = dict(entry.split("=", 1) for entry in arguments.env)
    folder = arguments.folder.absolute() if arguments.folder else None
    node = TestNode(
        arguments.kubeconfig,
        arguments.nodes,
        environment=environment,
        folder=folder,
        player=_player(arguments.replay) if arguments.replay else None,
        **options,
    )
    asyncio.run(_serve(node))


if __name__ == "__main__":
    main()
