"""The arguments of `bucketops policy`, without what it works with."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from bucketops_api.privileges.registry import PRIVILEGES

HELP = "print the least privileges that a resource needs: S3 policies by identity, SQL grants, RBAC"
EPILOG = """with --part, the bare document for the next program:
  bucketops policy S3Migration -f avatars.yaml --part source > p.json && mc admin policy create s3 avatars p.json
  bucketops policy S3Migration -f avatars.yaml --part database --role avatars | psql
  bucketops policy S3Access -f user.yaml --part rbac | kubectl apply -f -"""


def add(commands: Any) -> None:  # noqa: ANN401 - argparse has no public type for it
    """Add `policy` to the subcommands."""
    formatter = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser("policy", help=HELP, description=HELP, epilog=EPILOG, formatter_class=formatter)
    parser.add_argument("kind", choices=sorted(PRIVILEGES), metavar="KIND", help=" or ".join(sorted(PRIVILEGES)))
    parser.add_argument("-f", "--file", type=Path, required=True, help="the resource in YAML")
    parser.add_argument("--name", default="", help="which resource, where the file has several of the kind")
    parser.add_argument(
        "--part", default="", help="one part alone: source, destination, database, user, admin, rbac, …"
    )
    parser.add_argument("--role", default="bucketops", help="the role in the database (default: %(default)s)")
    parser.add_argument("-o", "--output", choices=("table", "json", "yaml"), default="", help="table; --part: its own")
    parser.set_defaults(run="bucketops_operator.run.policy:run")
