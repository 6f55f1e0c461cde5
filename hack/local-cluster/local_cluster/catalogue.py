"""Which programs a cluster is made of: Go module, package and version of each.

Versions stand in modules/*/go.mod, pinned by go.sum beside it; they are read from there, so
that nothing here can disagree with what is built.
"""

import re
from dataclasses import dataclass
from functools import cache

from local_cluster import folders
from local_cluster.errors import ClusterError

_KUBERNETES_VERSION = "k8s.io/component-base/version"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program: built from `package` inside the module folder `module`."""

    name: str
    module: str
    package: str
    requirement: str

    @property
    def version(self) -> str:
        """The pinned version, as the module's go.mod says."""
        return module_version(self.module, self.requirement)

    @property
    def file_name(self) -> str:
        """The name in the cache; it holds the version, so versions live side by side."""
        return f"{self.name}-{self.version}"


def _kubernetes(name: str) -> Program:
    return Program(
        name=name,
        module="kubernetes",
        package=f"k8s.io/kubernetes/cmd/{name}",
        requirement="k8s.io/kubernetes",
    )


def _containerd(name: str) -> Program:
    module = "github.com/containerd/containerd/v2"
    return Program(
        name=name, module="containerd", package=f"{module}/cmd/{name}", requirement=module
    )


def _other(name: str, requirement: str, package: str) -> Program:
    return Program(name=name, module=name, package=package, requirement=requirement)


PROGRAMS = {
    program.name: program
    for program in (
        _other("etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3"),
        _kubernetes("kube-apiserver"),
        _kubernetes("kube-controller-manager"),
        _kubernetes("kube-scheduler"),
        _kubernetes("kube-proxy"),
        _kubernetes("kubelet"),
        _kubernetes("kubectl"),
        _containerd("containerd"),
        _containerd("containerd-shim-runc-v2"),
        _containerd("ctr"),
        _other("coredns", "github.com/coredns/coredns", "github.com/coredns/coredns"),
        _other("helm", "helm.sh/helm/v4", "helm.sh/helm/v4/cmd/helm"),
        # A small command of ours, in the module's folder, around distribution's registry.
        _other("registry", "github.com/distribution/distribution/v3", "factotum.local/registry"),
        _other(
            "kube-score", "github.com/zegl/kube-score", "github.com/zegl/kube-score/cmd/kube-score"
        ),
        _other("trivy", "github.com/aquasecurity/trivy", "github.com/aquasecurity/trivy/cmd/trivy"),
    )
}

CHECKS = ("kube-score", "trivy")
"""Programs that only the tests use."""
SOURCES = {"prometheus-operator": "github.com/prometheus-operator/prometheus-operator"}
"""Modules of which files are wanted and nothing is built: folder in modules/, requirement."""

CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
RUNTIME = ("containerd", "containerd-shim-runc-v2", "ctr")
NODE = (*CONTROL_PLANE, *RUNTIME, "kubelet", "kube-proxy", "coredns")


def program(name: str) -> Program:
    """Look a program up by name."""
    try:
        return PROGRAMS[name]
    except KeyError:
        raise ClusterError(
            f"no program is called {name!r}; there are: {', '.join(PROGRAMS)}"
        ) from None


@cache
def _go_mod(module: str) -> str:
    return (folders.MODULES / module / "go.mod").read_text()


def module_version(module: str, requirement: str) -> str:
    """Read the version of a requirement from a module's go.mod."""
    match = re.search(
        rf"^(?:require)?\s*{re.escape(requirement)} (v\S+)", _go_mod(module), re.MULTILINE
    )
    if match is None:
        raise ClusterError(f"modules/{module}/go.mod requires no {requirement}")
    return match[1]


def go_version(module: str) -> tuple[int, int]:
    """Read the oldest Go (major, minor) that can build a module."""
    match = re.search(r"^go (\d+)\.(\d+)", _go_mod(module), re.MULTILINE)
    if match is None:
        raise ClusterError(f"modules/{module}/go.mod has no go line")
    return int(match[1]), int(match[2])


def linker_flags(module: str) -> str:
    """Give -ldflags for a module.

    Without its version Kubernetes calls itself v0.0.0-master, and Helm's capability checks
    refuse it.
    """
    flags = "-s -w"
    if module == "kubernetes":
        version = module_version(module, "k8s.io/kubernetes")
        major, minor, _ = version.removeprefix("v").split(".", 2)
        stamps = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
        for key, value in stamps.items():
            flags += f" -X {_KUBERNETES_VERSION}.{key}={value}"
    return flags


def build_environment(module: str) -> dict[str, str]:
    """Give what the compiler must be told to build a module, beside its flags."""
    # Imports encoding/json/v2, which Go 1.26 has as an experiment.
    return {"GOEXPERIMENT": "jsonv2"} if module == "trivy" else {}
