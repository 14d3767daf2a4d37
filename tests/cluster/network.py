"""The node's own network: a bridge with an address, and walls around it.

kubeadm wants an address that is no loopback address. Without the bridge, its traffic and that to
Services would follow the default route out of the machine; the bridge catches both.
"""

import json
from pathlib import Path

from settings import NODE_ADDRESS, NODE_BRIDGE, NODE_CIDR, POD_CIDR, SERVICE_CIDR
from shell import ClusterError, run, step, succeeds

# Pods talk to each other and to this machine (whose own addresses come before any rule), and to nobody else.
RULES = (
    ("priority", "20000", "from", POD_CIDR, "to", POD_CIDR, "lookup", "main"),
    ("priority", "20001", "from", POD_CIDR, "prohibit"),
)


def up() -> None:
    """Make the bridge, the route for Services and the rules that keep pods on this machine."""
    with step(f"making the bridge {NODE_BRIDGE} with {NODE_ADDRESS}"):
        run("ip", "link", "add", NODE_BRIDGE, "type", "bridge")
        run("ip", "address", "add", f"{NODE_ADDRESS}/{NODE_CIDR.partition('/')[2]}", "dev", NODE_BRIDGE)
        run("ip", "link", "set", NODE_BRIDGE, "up")
        run("ip", "route", "add", SERVICE_CIDR, "dev", NODE_BRIDGE, "src", NODE_ADDRESS)
        for rule in RULES:
            run("ip", "rule", "add", *rule)
        Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    check()


def check() -> None:
    """Refuse to go on if the node's traffic would leave the machine."""
    for address in (NODE_ADDRESS, SERVICE_CIDR.partition("/")[0]):
        route = json.loads(run("ip", "-json", "route", "get", address))[0]
        if route["dev"] not in {NODE_BRIDGE, "lo"}:
            raise ClusterError(f"{address} is reached through {route['dev']}, not through {NODE_BRIDGE}")


def down() -> None:
    """Take away the bridge, the rules, and interfaces of pods that did not end in good order."""
    routes = json.loads(run("ip", "-json", "route", "show", "root", POD_CIDR) or "[]")
    for device in (NODE_BRIDGE, *(route["dev"] for route in routes)):
        if Path("/sys/class/net", device).exists():
            run("ip", "link", "delete", device)
    for rule in RULES:
        while succeeds("ip", "rule", "delete", *rule):
            pass
