"""The only writer of generated files: `python -m bucketops_operator.generate [--check] [--without-helm]`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path, PurePosixPath

from bucketops_operator.generators import Files, chart, install, privileges, reference, release


def files() -> Files:
    """Every file that is made from the models alone."""
    return chart.files() | reference.files() | privileges.files()


def all_files(root: Path) -> Files:
    """These, the files that name the version, and what Helm renders from the chart that they belong to."""
    made = files()
    made |= release.files(root, made)
    return made | install.files(root, made)


def find_root(*starts: Path) -> Path:
    """The repository: the nearest folder above one of `starts` that holds the chart."""
    for start in starts or (Path.cwd(), Path(__file__).resolve()):
        for folder in (start, *start.parents):
            if (folder / chart.CHART / "Chart.yaml").is_file():
                return folder
    raise FileNotFoundError(f"{chart.CHART}/Chart.yaml is in no folder above; run this inside the repository")


def differing(root: Path, made: Files) -> list[PurePosixPath]:
    """The files that are absent or hold another text."""
    return [path for path, text in made.items() if not _holds(root / path, text)]


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def write(root: Path, made: Files) -> list[PurePosixPath]:
    """Write what differs; the others keep their time of change."""
    changed = differing(root, made)
    for path in changed:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(made[path], encoding="utf-8")
    return changed


def main() -> int:
    """Write the files or, with --check, only tell which are out of date."""
    options = parse(sys.argv[1:])
    root = find_root()
    made = files() if options.without_helm else all_files(root)
    changed = (differing if options.check else write)(root, made)
    for path in changed:
        sys.stdout.write(f"{'out of date' if options.check else 'wrote'}: {path}\n")
    return 1 if options.check and changed else 0


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line's options."""
    parser = argparse.ArgumentParser(prog="bucketops_operator.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a file is out of date")
    parser.add_argument("--without-helm", action="store_true", help="leave out what Helm renders: install.yaml")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
