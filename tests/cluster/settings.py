"""Every constant of the test cluster, once: versions, places, addresses and names."""

import os
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).resolve().parent
PROJECT: Final = HERE.parents[1]
CONFIG: Final = HERE / "config"
MANIFESTS: Final = PROJECT / "manifests"
CHART: Final = PROJECT / "charts" / "bucketops"

# What is built is kept in CACHE (by name, version and digest); what runs lives in RUN.
CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bucketops"
RUN: Final = Path("/var/lib/bucketops-cluster")
LOGS: Final = RUN / "logs"
KUBECONFIG: Final = RUN / "kubeconfig"
KUBELET: Final = Path("/var/lib/kubelet")  # kubeadm knows no other place
KUBERNETES_ETC: Final = Path("/etc/kubernetes")

KUBERNETES_VERSION: Final = "1.35.4"
ETCD_VERSION: Final = "3.6.12"
COREDNS_VERSION: Final = "1.14.6"
HELM_VERSION: Final = "4.1.4"
MINIO_VERSION: Final = "v0.0.0-20260212201848-7aac2a2c5b7c"
VERSITYGW_VERSION: Final = "v1.8.0"
PROMTOOL_VERSION: Final = "v0.312.0"  # Prometheus 3.12
# Only the benchmarks use these: servers, and the programs that bucketops is compared with.
GOFAKES3_VERSION: Final = "v1.2.0"
TOXIPROXY_VERSION: Final = "v2.5.0"
RCLONE_VERSION: Final = "v1.75.1"
MC_VERSION: Final = "v0.0.0-20250313080218-cf909e1063a9"
DEBIAN_SUITE: Final = "trixie"

NODE_NAME: Final = "bucketops"
NODE_BRIDGE: Final = "bucketops0"
NODE_ADDRESS: Final = "172.30.0.1"
NODE_CIDR: Final = "172.30.0.0/24"
POD_CIDR: Final = "10.244.0.0/16"
SERVICE_CIDR: Final = "10.96.0.0/16"

KUBERNETES_IMAGES: Final = "bucketops.dev/kubernetes"  # kubeadm's imageRepository
PAUSE_IMAGE: Final = f"{KUBERNETES_IMAGES}/pause:1"
BASE_IMAGE: Final = "python:3.13-slim-trixie"
POSTGRES_IMAGE: Final = "postgres:17-trixie"
MINIO_IMAGE: Final = "minio/minio:RELEASE.2025-09-07T16-13-09Z"
PROJECT_IMAGE: Final = "ghcr.io/bucketops/bucketops"

# What the project's image is built from, relative to PROJECT: its tag is a digest of these.
PROJECT_SOURCES: Final = ("Dockerfile", ".dockerignore", "requirements/runtime.lock", "api", "operator", "jobs",
                          "tools/image_files.py")  # fmt: skip

CLUSTER_PACKAGES: Final = (
    "buildah",
    "ca-certificates",
    "containerd",
    "containernetworking-plugins",
    "debootstrap",
    "iproute2",
    "runc",
)
TEST_PACKAGES: Final = (
    "faketime",  # the tests of wrong clocks
    "gnupg",  # the signature of a release
    "libimage-exiftool-perl",  # an independent reader of metadata, for the tests of the stripper
    "libjpeg-turbo-progs",  # jpegtran turns pictures; for the tests, djpeg tells each warning of libjpeg
    "pgbouncer",  # the tests of migrations through a pooler
    "postgresql",  # the integration tests start its server themselves
)
