"""A resource and its Secrets from files, with words that say what to mend."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from bucketops_api import names
from bucketops_api.masking import MASK
from bucketops_api.v1alpha1 import API_VERSION
from bucketops_api.v1alpha1.registry import KINDS
from bucketops_operator import private_file
from bucketops_operator.executor import Resource
from bucketops_operator.pods import config_map_names, secret_names
from bucketops_operator.run.data import Data, ManifestError, data_of, require_name
from bucketops_operator.run.env_file import env_file
from bucketops_operator.run.spec_errors import sentences
from bucketops_operator.run.strict_yaml import read_yaml


@dataclass(frozen=True)
class Manifest:
    """What a run needs."""

    resource: Resource
    beside: tuple[Resource, ...] = ()
    """The migration that a rollback names."""
    secrets: Data = field(default_factory=dict)
    config_maps: Data = field(default_factory=dict)
    made: Mapping[str, Path] = field(default_factory=dict)
    """Secrets that the run may make, and the files that they go to."""

    def keep(self, name: str, data: Mapping[str, str] | None) -> None:
        """Write a Secret that was made or changed to its file, which its owner alone may read."""
        file = self.made.get(name)
        if file is None:
            return
        if data is None:
            file.unlink(missing_ok=True)
            return
        private_file.replace(file, "".join(f"{key}={value}\n" for key, value in data.items()))


def read(file: Path, env_files: Iterable[str]) -> Manifest:
    """The resource of a file (with the Secrets and ConfigMaps beside it), and Secrets from NAME=FILE.env."""
    documents = _documents(file)
    (resource, *beside), files = _chosen(file, documents), dict(map(_named_file, env_files))
    made = {name: files.get(name, Path(f"{name}.env")) for name in _made(resource)}
    given = {name: path for name, path in (files | made).items() if name not in made or path.exists()}
    secrets = data_of(documents, "Secret") | {name: env_file(name, path) for name, path in given.items()}
    found = Manifest(resource, tuple(beside), secrets, data_of(documents, "ConfigMap"), made)
    _require(found)
    MASK.publish([json.dumps(one.spec, default=str) for one in (resource, *beside)])
    for data in secrets.values():
        MASK.learn(data)
    return found


def _chosen(file: Path, documents: Iterable[dict[str, Any]]) -> list[Resource]:
    """The one resource of a file; or a rollback, and the migration that it names."""
    ours = [_resource(file, document) for document in documents if document.get("kind") in KINDS]
    for resource in ours:
        named = origin_of(resource, ours)
        if named is not None and len(ours) == 2:  # noqa: PLR2004 - it and the other
            return [resource, named]
    rollback = next((resource for resource in ours if "rollbackOf" in resource.spec), None)
    if rollback is not None:
        name = rollback.spec["rollbackOf"]
        raise ManifestError(
            f"{file}: write the S3Migration {name}, which rollbackOf names, and no other, into the file"
        )
    if len(ours) != 1:
        raise ManifestError(f"{file}: write exactly one resource of {', '.join(KINDS)}; found {len(ours)}")
    return ours


def origin_of(resource: Resource, others: Iterable[Resource]) -> Resource | None:
    """The resource that `rollbackOf` names, among others of its file."""
    name = resource.spec.get("rollbackOf")
    wanted = (resource.kind, resource.namespace, name)
    return next((other for other in others if name and (other.kind, other.namespace, other.name) == wanted), None)


def resources(file: Path) -> list[Resource]:
    """All of our resources in a file."""
    return [_resource(file, document) for document in _documents(file) if document.get("kind") in KINDS]


def _documents(file: Path) -> list[dict[str, Any]]:
    """Return the objects of a file. Errors quote nothing of it: its Secrets may stand there."""
    try:
        found = [document for document in read_yaml(file.read_text("utf-8")) if isinstance(document, dict)]
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ManifestError(f"{file}{line}: this is no YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: 2026-13-01 looks like a date to YAML
        raise ManifestError(f"{file}: this is no YAML ({type(error).__name__})") from None
    except OSError as error:
        raise ManifestError(f"{file}: {error.strerror}") from None
    for document in found:
        if not isinstance(document.get("kind") or "", str):
            raise ManifestError(f"{file}: kind: write one of {', '.join(KINDS)}, Secret or ConfigMap")
        if not isinstance(document.get("metadata") or {}, dict):
            raise ManifestError(f"{file}: metadata: write a name and labels, as keys and values")
    return found


def _labels(file: Path, metadata: Mapping[str, Any]) -> Mapping[str, str]:
    found = metadata.get("labels") or {}
    if not isinstance(found, Mapping) or not all(isinstance(text, str) for pair in found.items() for text in pair):
        raise ManifestError(f"{file}: metadata.labels: write keys and values, both of them texts")
    return found


def _resource(file: Path, document: dict[str, Any]) -> Resource:
    if document.get("apiVersion") != API_VERSION:
        raise ManifestError(f"{file}: apiVersion: write {API_VERSION}")
    kind, metadata = str(document["kind"]), document.get("metadata") or {}
    name, namespace = str(metadata.get("name", "")), str(metadata.get("namespace", "default"))
    if not name:
        raise ManifestError(f"{file}: metadata.name: give the resource a name; its records are found by it")
    require_name(name, f"{file}: metadata.name")
    require_name(namespace, f"{file}: metadata.namespace")
    try:
        KINDS[kind].spec.model_validate(document.get("spec") or {})
    except ValidationError as error:
        told = "".join(f"\n  {sentence}" for sentence in sentences(error, KINDS[kind].spec))
        raise ManifestError(f"{file}: {kind} {name} cannot be run:{told}") from error
    uid = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{kind}/{namespace}/{name}"))
    return Resource(kind, namespace, name, uid, 1, _now(kind, document["spec"]), labels=_labels(file, metadata))


def _now(kind: str, spec: Mapping[str, Any]) -> Mapping[str, Any]:
    """Without its schedule: that is for a cluster, and on this machine it is one run now."""
    now = {field: value for field, value in spec.items() if field != "schedule"}
    swept = "sweep" in KINDS[kind].spec.model_fields
    return now | {"sweep": {**(now.get("sweep") or {}), "schedule": ""}} if swept else now


def _made(resource: Resource) -> list[str]:
    """Secrets that a kind makes where they do not exist."""
    return [resource.spec["credentialsSecret"]["name"]] if "credentialsSecret" in resource.spec else []


def _named_file(argument: str) -> tuple[str, Path]:
    name, equals, file = argument.partition("=")
    if not equals or not names.is_object_name(name):  # what stands there may be a secret
        raise ManifestError("--secret: write NAME=FILE.env, with a NAME of lower-case letters, digits, '-' and '.'")
    return name, Path(file)


def _require(manifest: Manifest) -> None:
    specs = {resource.name: resource.spec for resource in (manifest.resource, *manifest.beside)}
    for name in secret_names(specs):
        if name not in manifest.secrets:
            raise ManifestError(f"Secret {name} is named in the spec: give it with --secret {name}=FILE.env")
    for name in config_map_names(specs):
        if name not in manifest.config_maps:
            raise ManifestError(f"ConfigMap {name} is named in the spec: write it into the same file, after a line ---")
