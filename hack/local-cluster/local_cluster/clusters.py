"""Bring a cluster up and take it down: the order of things, and that nothing stays.

What a node adds (container runtime, kubelet, network) is in node.py; taking its traces off the
machine is in traces.py.
"""

import dataclasses
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from local_cluster import (
    building,
    catalogue,
    control_plane,
    fake_nodes,
    folders,
    locking,
    node,
    packages,
    ports,
    processes,
    records,
    traces,
)
from local_cluster.errors import ClusterError
from local_cluster.fake_nodes import FakeNode
from local_cluster.processes import Processes
from local_cluster.records import Profile, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What `up` was asked for."""

    name: str
    profile: Profile = Profile.CONTROL_PLANE
    fake: Sequence[FakeNode] = ()
    images: Sequence[Path] = ()
    # None: fake nodes repel ordinary Pods only where a real node is there to take them.
    taint_fake: bool | None = None
    # Take the machine's one node over from the cluster that has it.
    replace: bool = False


def _lock_file(name: str) -> Path:
    return folders.clusters() / f".{name}.lock"


def is_running(state: Path) -> bool:
    """Tell whether a cluster is up with all its programs."""
    record = records.read(state)
    return (
        record is not None
        and record.complete
        and all(processes.is_alive(pid, state) for pid in record.pids.values())
    )


def up(wish: Wish) -> Record:
    """Bring a cluster up; one that is up already only gets the images and fake nodes."""
    state = records.state_folder(wish.name)
    if wish.images and wish.profile is not Profile.NODE:
        raise ClusterError("--image needs --profile node: without one there is nothing to run it")
    for image in wish.images:
        if not image.is_file():
            raise ClusterError(f"--image {image}: no such file")
    with locking.locked(_lock_file(wish.name), f"waiting for another run on {wish.name!r}"):
        record = records.read(state)
        if record is not None and is_running(state):
            return _widen(state, record, wish)
        if state.exists():
            print(f"removing what is left of an earlier cluster {wish.name!r}", flush=True)
            _remove(state)
        if wish.profile is Profile.NODE:
            packages.check()
            if wish.replace:
                _remove_other_owner(state)
            traces.claim_machine(state)
        state.mkdir(parents=True, mode=0o700)
        try:
            return _bring_up(state, wish)
        except BaseException as error:  # SIGINT too: a cluster is up, or nothing of it is there
            # A second one must not stop the clean-up half-way.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            print(f"taking {wish.name!r} down again", file=sys.stderr, flush=True)
            try:
                _remove(state)
            except ClusterError as second:
                raise ClusterError(f"{error}\nThen the clean-up failed: {second}") from error
            raise


def _remove_other_owner(state: Path) -> None:
    owner = traces.owner()
    if owner is not None and owner != state:
        print(f"taking cluster {owner.name!r} down: it has the machine's one node", flush=True)
        lock = owner.parent / f".{owner.name}.lock"
        with locking.locked(lock, f"waiting for another run on {owner.name!r}"):
            _remove(owner)


def _widen(state: Path, record: Record, wish: Wish) -> Record:
    if record.profile is not wish.profile:
        raise ClusterError(
            f"cluster {wish.name!r} is up with profile {record.profile}; take it down first "
            "or use another --name"
        )
    print(f"cluster {wish.name!r} is up already", flush=True)
    _add(state, record, wish, Processes(state))
    return record


def _add(state: Path, record: Record, wish: Wish, started: Processes) -> None:
    if wish.images:
        load(wish.name, wish.images)
    api = control_plane.client(state, record)
    tainted = record.profile is Profile.NODE if wish.taint_fake is None else wish.taint_fake
    if wish.fake:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        fake_nodes.create(api, started, list(wish.fake), now=now, tainted=tainted)


def _new_record(wish: Wish) -> Record:
    api, etcd, etcd_peer, kubelet, proxy, dns = ports.choose(6)
    has_node = wish.profile is Profile.NODE
    return Record(
        name=wish.name,
        profile=wish.profile,
        api_port=api,
        etcd_port=etcd,
        etcd_peer_port=etcd_peer,
        kubelet_port=kubelet,
        proxy_port=proxy,
        dns_port=dns,
        address=ports.own_address() if has_node else "127.0.0.1",
        kernel=traces.kernel_settings() if has_node else {},
    )


def _bring_up(state: Path, wish: Wish) -> Record:
    has_node = wish.profile is Profile.NODE
    wanted = catalogue.NODE if has_node else catalogue.CONTROL_PLANE
    programs = building.ensure(wanted, processes.mark(state))
    record = _new_record(wish)
    records.write(state, record)
    control_plane.prepare(state, record)
    started = Processes(state)
    if has_node:
        # Beside the control plane's start: it takes as long.
        node.start_runtime(state, started, processes.mark(state))
    api = control_plane.start(programs, state, record, started)
    command = [sys.executable, "-m", "local_cluster.keeping", str(state), str(record.api_port)]
    started.start("keeper", command, PYTHONPATH=str(folders.TOOL))
    if has_node:
        node.start(programs, state, record, started, api)
    _add(state, record, wish, started)
    started.check()
    record = dataclasses.replace(record, complete=True, pids=started.pids())
    records.write(state, record)
    return record


def load(name: str, images: Sequence[Path]) -> None:
    """Import image archives into a cluster's node."""
    state = records.state_folder(name)
    record = records.read(state)
    if record is None or record.profile is not Profile.NODE:
        raise ClusterError(
            f"cluster {name!r} has no node to load images into; "
            f"start one: hack/local-cluster/cluster up --profile node --name {name}"
        )
    for image in images:
        node.load_image(image)


def down(name: str) -> bool:
    """Take a cluster down, whatever state it is in; tell whether there was anything."""
    state = records.state_folder(name)
    with locking.locked(_lock_file(name), f"waiting for another run on {name!r}"):
        return _remove(state)


def _remove(state: Path) -> bool:
    found = state.exists()
    record = records.read(state)
    # Before the containers: the kubelet and the controllers would start new ones.
    found |= processes.kill_until_none(lambda: processes.marked(state)) > 0
    if traces.owner() == state:
        found = True
        traces.remove(state, record.kernel if record else {})
    shutil.rmtree(state, ignore_errors=True)
    if state.exists():
        raise ClusterError(f"{state} cannot be removed; look for mounts: grep {state} /proc/mounts")
    return found
