"""What both kinds of cluster offer: this machine's own (host.py) and kind's (kind.py)."""

from pathlib import Path
from typing import Protocol


class Engine(Protocol):
    """Implemented by modules: there is never more than one cluster of a kind."""

    KUBECONFIG: Path
    LOCK: Path

    def up(self) -> None:
        """Have a working cluster that finds the images of the manifests; reuse the one that is there."""

    def down(self) -> None:
        """Take the cluster away, and whatever is left of an earlier one."""

    def clean(self) -> None:
        """Take away also what was kept to make the next start fast."""

    def load_project_image(self) -> str:
        """Build the project's image if its sources changed and hand it to the cluster; its name."""

    def kill_kubelet(self) -> None:
        """SIGKILL the node's agent and have it started again: pods go on, nobody watches them until it is back."""

    def program_folders(self) -> list[Path]:
        """Where kubectl and helm are, if not on the PATH."""
