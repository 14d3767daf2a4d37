"""A Kubernetes node on this very machine: containerd, kubelet and what kubeadm makes of them."""

import json
import shutil
from pathlib import Path
from string import Template

import binaries
import containerd
import images
import network
import processes
import settings
from cache import digest_of, remove
from settings import CONFIG, KUBECONFIG, KUBELET, KUBERNETES_ETC, KUBERNETES_VERSION, RUN
from shell import ClusterError, run, say, step, succeeds, unmount_below, wait_until

OWNED = RUN / "owned"  # says that the node on this machine is ours
MADE_FROM = RUN / "made-from"  # written when the cluster works: what it was made from
ETCD = RUN / "etcd"
POD_LOGS = RUN / "pod-logs"  # kubelet counts restarts by the logs it finds
PROXY_IMAGE = images.KUBERNETES.names[0]
DIES_WITH_US = ("setpriv", "--pdeathsig", "KILL")
SKIPPED_PHASES = "--skip-phases=preflight,show-join-command"


def healthy() -> bool:
    """Whether the cluster that these settings describe runs and answers."""
    if not MADE_FROM.exists() or MADE_FROM.read_text() != _fingerprint():
        return False
    if not all(map(processes.alive, ("containerd", "kubelet"))):
        return False
    return succeeds(_program("kubectl"), "get", "--raw=/readyz", "--request-timeout=5s", env=_access()) and _ready()


def up() -> None:
    """Make the cluster from nothing: down() has to come first."""
    _claim_node()
    _write_config()
    network.up()
    containerd.start()
    containerd.load(*images.CONTROL_PLANE)
    with step(f"starting Kubernetes {KUBERNETES_VERSION}"):
        network.check()
        _start_kubelet()
        try:
            run(
                *DIES_WITH_US,
                _program("kubeadm"),
                "init",
                "--config",
                RUN / "kubeadm.yaml",
                SKIPPED_PHASES,
                timeout=300,
            )
        except ClusterError as error:
            raise ClusterError(f"{error}\n{processes.log_end('kubelet')}") from None
        shutil.copy(KUBERNETES_ETC / "admin.conf", KUBECONFIG)
        run(_program("kubectl"), "apply", "-f", RUN / "coredns.yaml", env=_access())
    with step("waiting for the node and its DNS"):
        wait_until("the node is ready", 120, _ready)
        rollout = ("rollout", "status", "--namespace=kube-system", "--timeout=120s")
        run(_program("kubectl"), *rollout, "deployment/coredns", env=_access())
        run(_program("kubectl"), *rollout, "daemonset/kube-proxy", env=_access())
    MADE_FROM.write_text(_fingerprint())


def _start_kubelet() -> None:
    processes.start("kubelet", "sh", RUN / "kubelet.sh")


def kill_kubelet() -> None:
    """As a crash of the node's agent would: the pods go on, nobody watches them until it is back."""
    processes.kill("kubelet")
    _start_kubelet()


def down() -> None:
    """Leave nothing running or mounted, whatever state an earlier run or a reboot left behind."""
    if not OWNED.exists():
        return
    with step("taking down what is left of a cluster"):
        MADE_FROM.unlink(missing_ok=True)
        processes.stop("kubelet")
        _remove_pods()
        containerd.stop()
        unmount_below(containerd.FOLDER, KUBELET)
        for leftover in (ETCD, KUBECONFIG, KUBELET, RUN / "cni-addresses", POD_LOGS, *KUBERNETES_ETC.glob("*")):
            remove(leftover)
        network.down()
        OWNED.unlink()


def _remove_pods() -> None:
    """Let containerd remove pods in good order; if it cannot, forget all that it knows."""
    if not containerd.CONFIG_FILE.exists():
        return
    (KUBERNETES_ETC / "admin.conf").unlink(missing_ok=True)  # kubeadm is not to wait for an API server
    try:
        containerd.start()
        reset = (_program("kubeadm"), "reset", "--force", "--cri-socket", f"unix://{containerd.SOCKET}")
        run(*reset, "--ignore-preflight-errors=all", timeout=60)
        containerd.once(PROXY_IMAGE, "kube-proxy", "--cleanup")
        containerd.expect_empty()  # kubeadm reset only warns when it leaves some
    except ClusterError as error:
        say(f"  pods are removed by force: {error}")
        containerd.stop()
        unmount_below(containerd.FOLDER, KUBELET)
        remove(containerd.FOLDER)


def _write_config() -> None:
    """Fill in config/ with the settings, into RUN."""
    for name, text in _config().items():
        target = RUN / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)


def _config() -> dict[str, str]:
    values = {name.lower(): value for name, value in vars(settings).items() if isinstance(value, str | Path)}
    values |= {"patches": CONFIG / "patches", "binaries": binaries.KUBERNETES.folder}
    places = {"containerd.toml": "containerd/config.toml", "cni.conflist": "cni/10-bucketops.conflist"}
    return {
        places.get(file.name, file.name): Template(file.read_text()).substitute(values)
        for file in sorted(CONFIG.iterdir())
        if file.is_file()
    } | {"resolv.conf": "options timeout:2\n"}  # pods shall not ask this machine's name servers


def _fingerprint() -> str:
    return digest_of(json.dumps(_config()), CONFIG / "patches", *(image.content for image in images.CONTROL_PLANE))


def _claim_node() -> None:
    """kubeadm knows one place only for a node's files: never touch those of another cluster."""
    if not OWNED.exists():
        for folder in (KUBERNETES_ETC, KUBELET):
            if any(path.is_file() for path in folder.rglob("*")):
                raise ClusterError(f"this machine is a node of another cluster: {folder} is not empty")
    RUN.mkdir(parents=True, exist_ok=True)
    OWNED.touch()


def _ready() -> bool:
    status = "jsonpath={.items[*].status.conditions[?(@.type=='Ready')].status}"
    try:
        return run(_program("kubectl"), "get", "nodes", "--output", status, env=_access()).split() == ["True"]
    except ClusterError:
        return False


def _program(name: str) -> Path:
    return binaries.folder(binaries.KUBERNETES) / name


def _access() -> dict[str, str]:
    return {"KUBECONFIG": str(KUBECONFIG)}
