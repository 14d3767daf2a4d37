"""The programs of the cluster, compiled from their public Go modules."""

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from cache import cached, digest_of
from settings import (
    CACHE,
    COREDNS_VERSION,
    GOFAKES3_VERSION,
    HELM_VERSION,
    HERE,
    KUBERNETES_VERSION,
    MC_VERSION,
    MINIO_VERSION,
    PROJECT,
    PROMTOOL_VERSION,
    RCLONE_VERSION,
    TOXIPROXY_VERSION,
    VERSITYGW_VERSION,
)
from shell import ClusterError, run, step

SOURCES = HERE / "binaries"
OLDEST_GO = (1, 25)
_MAJOR, _MINOR, _ = KUBERNETES_VERSION.split(".")
_KUBERNETES_STAMP = (
    f"-X k8s.io/component-base/version.gitVersion=v{KUBERNETES_VERSION}"
    f" -X k8s.io/component-base/version.gitMajor={_MAJOR} -X k8s.io/component-base/version.gitMinor={_MINOR}"
    f" -X k8s.io/client-go/pkg/version.gitVersion=v{KUBERNETES_VERSION}"
)


@dataclass(frozen=True)
class Program:
    """One Go program: a package of the module in `sources` or, with an @version, a module by itself."""

    name: str
    version: str
    package: str
    stamp: str = ""
    links: tuple[str, ...] = ()
    sources: Path = SOURCES
    tags: str = ""

    @property
    def folder(self) -> Path:
        """Where it is kept; a newer Go alone is no reason for a new build."""
        inputs: list[str | Path] = [self.package, self.stamp, *self.links, *filter(None, [self.tags])]
        if "@" not in self.package:
            inputs += [self.sources / "go.mod", self.sources / "go.sum"]
        if self.package.startswith("./"):
            inputs.append(self.sources / self.package)
        return CACHE / "binaries" / f"{self.name}-{self.version}-{digest_of(*inputs)}"


KUBERNETES = Program(
    "kubernetes",
    KUBERNETES_VERSION,
    "./kubernetes",
    _KUBERNETES_STAMP,
    (
        "etcd",
        "kube-apiserver",
        "kube-controller-manager",
        "kube-scheduler",
        "kube-proxy",
        "kubelet",
        "kubeadm",
        "kubectl",
    ),
)
COREDNS = Program("coredns", COREDNS_VERSION, "./coredns")
PAUSE = Program("pause", "1", "./pause")
# Helm reads the Kubernetes version that it was made for from its own modules: the same stamp does no harm.
HELM = Program("helm", HELM_VERSION, "helm.sh/helm/v4/cmd/helm", _KUBERNETES_STAMP)
MINIO = Program("minio", MINIO_VERSION, f"github.com/minio/minio@{MINIO_VERSION}")
ALL = (KUBERNETES, COREDNS, PAUSE, HELM, MINIO)

# No part of the cluster: built when the tests of the store, of the alerts or the benchmarks ask for them.
VERSITYGW = Program("versitygw", VERSITYGW_VERSION, f"github.com/versity/versitygw/cmd/versitygw@{VERSITYGW_VERSION}")
# Of a module of its own: Prometheus' replacements would change Kubernetes'. Nothing is discovered here.
PROMTOOL = Program(
    "promtool",
    PROMTOOL_VERSION,
    "github.com/prometheus/prometheus/cmd/promtool",
    sources=SOURCES / "promtool",
    tags="remove_all_sd",
)
GOFAKES3 = Program("gofakes3", GOFAKES3_VERSION, "./", sources=PROJECT / "tests" / "bench" / "gofakes3")
TOXIPROXY = Program("toxiproxy", TOXIPROXY_VERSION, f"github.com/Shopify/toxiproxy/v2/cmd/server@{TOXIPROXY_VERSION}")
RCLONE = Program("rclone", RCLONE_VERSION, f"github.com/rclone/rclone@{RCLONE_VERSION}")
MC = Program("mc", MC_VERSION, f"github.com/minio/mc@{MC_VERSION}")
TOOLS = {program.name: program for program in (HELM, MINIO, VERSITYGW, PROMTOOL, GOFAKES3, TOXIPROXY, RCLONE, MC)} | {
    "kubectl": KUBERNETES
}


def folder(program: Program) -> Path:
    """The folder with the program in it, built if this is the first time that it is needed."""

    def build(target: Path) -> None:
        with step(f"building {program.name} {program.version}"):
            _require_go()
            _compile(program, target)
            for link in program.links:
                (target / link).symlink_to(program.name)

    return cached(program.folder, build)


def tool(name: str) -> Path:
    return folder(TOOLS[name]) / name


def _compile(program: Program, target: Path) -> None:
    flags = ("-trimpath", "-tags", program.tags, "-ldflags", f"-s -w {program.stamp}".strip())
    target.mkdir(parents=True)
    if "@" in program.package:
        run("go", "install", *flags, program.package, env={"CGO_ENABLED": "0", "GOBIN": str(target)})
        (target / Path(program.package.partition("@")[0]).name).rename(target / program.name)
    else:
        output = target / program.name
        run("go", "build", *flags, "-o", output, program.package, cwd=program.sources, env={"CGO_ENABLED": "0"})


def _require_go() -> None:
    wanted = ".".join(map(str, OLDEST_GO))
    if not shutil.which("go"):
        raise ClusterError(f"the cluster's programs are compiled here: install Go {wanted} or newer")
    found = re.search(r"go(\d+)\.(\d+)", run("go", "version"))
    if not found or (int(found[1]), int(found[2])) < OLDEST_GO:
        raise ClusterError(f"Go {wanted} or newer is needed, this is {run('go', 'version').strip()}")
