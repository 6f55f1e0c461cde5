"""The command line of the tool: the only module that prints results and sets exit codes."""

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from local_cluster import building, catalogue, clusters, fake_nodes, folders, packages, records
from local_cluster.clusters import Wish
from local_cluster.errors import ClusterError
from local_cluster.records import Profile

_DEFAULT_NAME = "factotum"


class _Arguments(argparse.Namespace):
    command: str
    name: str
    profile: Profile
    fake_nodes: str
    image: list[Path]
    archives: list[Path]
    programs: list[str]
    module: str
    taint_fake_nodes: bool | None
    replace: bool


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cluster", description="A real Kubernetes on this machine, as plain processes."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    named = argparse.ArgumentParser(add_help=False)
    named.add_argument("--name", default=_DEFAULT_NAME, help="the cluster (default: %(default)s)")

    up = commands.add_parser("up", parents=[named], help="bring a cluster up")
    up.add_argument(
        "--profile",
        type=Profile,
        choices=list(Profile),
        default=Profile.CONTROL_PLANE,
        help="control-plane: API level only, no root; node: a real kubelet (%(default)s)",
    )
    up.add_argument(
        "--fake-nodes",
        default="0",
        metavar="N|FILE",
        help="Node objects without a machine: how many, or a JSON file that describes them",
    )
    up.add_argument(
        "--taint-fake-nodes",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="repel ordinary Pods from fake nodes (default: with --profile node)",
    )
    up.add_argument(
        "--replace",
        action="store_true",
        help="take down the cluster that has this machine's one node, if another has it",
    )
    up.add_argument(
        "--image", type=Path, action="append", default=[], help="an image archive to load"
    )

    commands.add_parser("down", parents=[named], help="take a cluster down, with every trace")
    commands.add_parser("status", help="list the clusters")
    commands.add_parser("kubeconfig", parents=[named], help="print the path of the kubeconfig")
    load = commands.add_parser("load", parents=[named], help="load image archives into the node")
    load.add_argument("archives", nargs="+", type=Path, metavar="ARCHIVE")
    build = commands.add_parser("build", help="build programs into the cache")
    build.add_argument(
        "programs",
        nargs="*",
        choices=[[], *catalogue.PROGRAMS],  # argparse checks the empty list too
        metavar="PROGRAM",
        help=f"of {', '.join(catalogue.PROGRAMS)}; default: all but {', '.join(catalogue.CHECKS)}",
    )
    source = commands.add_parser("source", help="fetch a module, and print the folder of its files")
    source.add_argument("module", choices=list(catalogue.SOURCES), metavar="MODULE")
    commands.add_parser("bin", help="print the folder of the built programs, for PATH")
    commands.add_parser("deps", help="install the Debian packages of the node profile")
    return parser


def _up(arguments: _Arguments) -> None:
    started = time.monotonic()
    wish = Wish(
        name=arguments.name,
        profile=arguments.profile,
        fake=fake_nodes.from_argument(arguments.fake_nodes),
        images=[image.absolute() for image in arguments.image],
        taint_fake=arguments.taint_fake_nodes,
        replace=arguments.replace,
    )
    clusters.up(wish)
    path = records.kubeconfig(records.state_folder(arguments.name))
    print(f"cluster {arguments.name!r} is up after {time.monotonic() - started:.1f} s")
    print(f"  export KUBECONFIG={path}")


def _status() -> None:
    names = records.names()
    if not names:
        print("no clusters")
    for name in names:
        state = records.state_folder(name)
        record = records.read(state)
        if record is None:
            print(f"{name}: starting, or left over (cluster down --name {name})")
            continue
        word = "up" if clusters.is_running(state) else "starting, or broken"
        print(f"{name}: {word}, profile {record.profile}")
        print(f"  api server  https://127.0.0.1:{record.api_port}")
        print(f"  kubeconfig  {records.kubeconfig(state)}")
        print(f"  audit log   {records.audit_log(state)}")
        print(f"  logs        {state / 'log'}")
        print(f"  processes   {', '.join(f'{n} {pid}' for n, pid in record.pids.items())}")


def _kubeconfig(name: str) -> None:
    path = records.kubeconfig(records.state_folder(name))
    if not path.exists():
        raise ClusterError(
            f"there is no cluster {name!r}; start it: hack/local-cluster/cluster up --name {name}"
        )
    print(path)


def _run(arguments: _Arguments) -> None:
    match arguments.command:
        case "up":
            _up(arguments)
        case "down":
            existed = clusters.down(arguments.name)
            print(f"cluster {arguments.name!r} is {'gone' if existed else 'not there'}")
        case "status":
            _status()
        case "kubeconfig":
            _kubeconfig(arguments.name)
        case "load":
            clusters.load(arguments.name, [path.absolute() for path in arguments.archives])
        case "build":
            for path in building.ensure(arguments.programs or _usual()).values():
                print(path)
        case "bin":
            print(folders.programs())
        case "source":
            print(building.source(arguments.module))
        case _:  # "deps": argparse lets no other through
            packages.install()


def _usual() -> list[str]:
    return [name for name in catalogue.PROGRAMS if name not in catalogue.CHECKS]


def _interrupt(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; give the exit code."""
    # As an exception, so that a half-started cluster is taken down on the way out.
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    arguments = _parser().parse_args(argv, _Arguments())
    try:
        _run(arguments)
    except ClusterError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
