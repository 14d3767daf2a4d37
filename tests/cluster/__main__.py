"""A Kubernetes cluster for tests: python3 tests/cluster COMMAND (README.md tells more)."""

import argparse
import shlex
import sys

import addons
import binaries
import debian
import host
import kind
from cache import locked
from engine import Engine
from settings import TEST_PACKAGES
from shell import ClusterError, say

ENGINES: dict[str, Engine] = {"host": host, "kind": kind}
COMMANDS = {
    "up": "cluster, MinIO, PostgreSQL, the project's image and chart: made, or brought up to date",
    "down": "take the cluster away",
    "clean": "down, and remove everything that was kept to make it fast",
    "status": "nodes and pods",
    "kubeconfig": "print the path of the cluster's kubeconfig",
    "env": "print shell lines that point kubectl and helm to the cluster",
    "image": "build and load the project's image only, print its name",
    "packages": "install the Debian packages that the tests need",
    "tool": "have one of the programs built, print its path",
    "kill": "kill the kubelet with SIGKILL and have it started again, for tests of faults",
}


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests/cluster", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text)
        command.add_argument("--engine", choices=ENGINES, default="host", help="host is this machine itself")
        if name == "up":
            command.add_argument("--no-chart", action="store_true", help="leave the project itself out")
        if name == "tool":
            command.add_argument("name", choices=binaries.TOOLS)
    return parser.parse_args(arguments)


def up(engine: Engine, *, chart: bool) -> None:
    engine.up()
    addons.install_storage(engine)
    if chart:
        addons.install_project(engine)
    say(f"✓ up: export KUBECONFIG={engine.KUBECONFIG}")


def change(arguments: argparse.Namespace, engine: Engine) -> None:
    """The commands that change the cluster, one at a time."""
    with locked(engine.LOCK):
        match arguments.command:
            case "up":
                up(engine, chart=not arguments.no_chart)
            case "down":
                engine.down()
            case "clean":
                engine.clean()
            case "image":
                print(engine.load_project_image())


def ask(arguments: argparse.Namespace, engine: Engine) -> None:
    """The commands that leave it as it is."""
    match arguments.command:
        case "status":
            print(addons.status(engine))
        case "kubeconfig":
            print(engine.KUBECONFIG)
        case "env":
            for name, value in addons.environment(engine).items():
                print(f"export {name}={shlex.quote(value)}")
        case "packages":
            debian.install(TEST_PACKAGES)
        case "tool":
            print(binaries.tool(arguments.name))
        case "kill":
            engine.kill_kubelet()


def main() -> int:
    arguments = parse(sys.argv[1:])
    engine = ENGINES[arguments.engine]
    try:
        if arguments.command in {"up", "down", "clean", "image"}:
            change(arguments, engine)
        else:
            ask(arguments, engine)
    except ClusterError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
