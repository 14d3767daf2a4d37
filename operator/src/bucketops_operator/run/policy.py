"""`bucketops policy`: the least privileges that a resource needs, in the form that the next program takes."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from bucketops_api import names
from bucketops_api.privileges.parts import Owner, Part
from bucketops_api.privileges.registry import parts_of
from bucketops_api.v1alpha1.common import Model
from bucketops_api.v1alpha1.migration import S3MIGRATION
from bucketops_api.v1alpha1.registry import KINDS
from bucketops_operator.executor import Origin, Resource
from bucketops_operator.kinds.migration_rollback import NotNowError, spec_of
from bucketops_operator.run import terminal
from bucketops_operator.run.data import ManifestError
from bucketops_operator.run.manifest import origin_of, resources


def run(options: argparse.Namespace) -> int:
    """Read the file, print the privileges."""
    try:
        resource = _resource(options)
        found = _parts(resource, options)
    except ManifestError as error:
        terminal.complain(error)
        return names.EXIT_USER
    if options.part and not options.output:
        sys.stdout.write(native(found[0]))
    elif options.output in {"json", "yaml"}:
        sys.stdout.write(_dumped(found, options.output, bare=bool(options.part)))
    else:
        _show(resource, found)
    return names.EXIT_DONE


def _resource(options: argparse.Namespace) -> Resource:
    fitting = [r for r in resources(options.file) if r.kind == options.kind and options.name in {"", r.name}]
    if len(fitting) != 1:
        there = ", ".join(r.name for r in fitting) or "none"
        raise ManifestError(f"{options.file}: {options.kind} that fit: {there}; name one with --name")
    return fitting[0]


def _parts(resource: Resource, options: argparse.Namespace) -> Sequence[Part]:
    owner = Owner(resource.namespace, resource.name, options.role)
    found = parts_of(resource.kind, _spec(resource, options.file), owner)
    chosen = [part for part in found if options.part in {"", part.name}]
    if not chosen:
        raise ManifestError(f"--part {options.part}: this resource needs {', '.join(part.name for part in found)}")
    return chosen


def _spec(resource: Resource, file: Path) -> Model:
    """What the privileges follow from; a rollback's from the migration beside it."""
    if resource.kind != S3MIGRATION.name:
        return KINDS[resource.kind].spec.model_validate(resource.spec)
    named = origin_of(resource, resources(file))
    try:
        return spec_of(replace(resource, origin=Origin(named) if named else None))
    except NotNowError as error:
        name = resource.spec["rollbackOf"]
        words = f"write the S3Migration {name}, which rollbackOf names, into the same file" if named is None else error
        raise ManifestError(f"{file}: {words}") from error


def native(part: Part) -> str:
    """A part as the program that it is for reads it: JSON for policies, SQL, YAML for kubectl."""
    if part.form == "sql":
        return "".join(f"{line}\n" for line in part.content)
    if part.form == "rbac":
        return yaml.safe_dump_all(part.content, sort_keys=False, explicit_start=True)
    return json.dumps(part.content, indent=2) + "\n"


def _dumped(parts: Sequence[Part], form: str, *, bare: bool) -> str:
    whole: Any = parts[0].content if bare else {part.name: part.content for part in parts}
    plain = json.loads(json.dumps(whole))
    return json.dumps(plain, indent=2) + "\n" if form == "json" else yaml.safe_dump(plain, sort_keys=False)


def _show(resource: Resource, parts: Sequence[Part]) -> None:
    console = Console(highlight=False, markup=False, soft_wrap=True)  # brackets are characters of names
    console.print(f"{resource.kind} {resource.namespace}/{resource.name}")
    for part in parts:
        console.print(f"\n{part.name}: {part.about}")
        table = Table(box=None, show_header=False, padding=(0, 2))
        for row in _rows(part):
            table.add_row("", *row)
        console.print(table)


def _rows(part: Part) -> Sequence[tuple[str, str]]:
    """Who reads a table wants actions and resources; the rest stands in the document."""
    content: Any = part.content
    if part.form == "sql":
        return [(line, "") for line in content]
    if part.form == "rbac":
        return [
            (o["kind"], f"{o['metadata']['name']} {json.dumps(o['rules']) if 'rules' in o else ''}") for o in content
        ]
    return [
        (", ".join(s["Action"]) + (" (denied)" if s["Effect"] == "Deny" else ""), ", ".join(s.get("Resource", ["*"])))
        for s in content["Statement"]
    ]
