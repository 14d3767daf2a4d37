"""docs/privileges.md: who may do what, from the same data as the chart."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import PurePosixPath

from bucketops_api.privileges import access, exifpipeline, migration, operator, retention
from bucketops_api.privileges.parts import Owner, Part
from bucketops_api.privileges.s3 import Statement
from bucketops_api.v1alpha1.access import AccessSpec
from bucketops_api.v1alpha1.exifpipeline import PipelineSpec
from bucketops_api.v1alpha1.migration import Database, MigrationSpec
from bucketops_api.v1alpha1.retention import RetentionSpec
from bucketops_operator.generators import NOTICE, Files
from bucketops_operator.generators.text import to_yaml

PATH = PurePosixPath("docs/privileges.md")

EXAMPLE = MigrationSpec.model_validate(
    {
        "mode": "Apply",
        "source": {"bucket": "legacy-s3", "prefix": "image/"},
        "destination": {"bucket": "production-s3", "prefix": "avatar/"},
        "database": {
            "credentials": {"secretRef": {"name": "avatars-db"}},
            "references": [{"table": "avatars", "key": "id", "column": "path"}],
            "maxReplicationLag": "10s",
        },
        "cleanup": {"policy": "Delete"},
    }
)
"""What the page shows the rights of."""


RETENTION = RetentionSpec.model_validate(
    {
        "mode": "Apply",
        "bucket": {"bucket": "deployments"},
        "keep": {"referencedBy": ["latest.json"]},
        "versions": "All",
    }
)
PIPELINE = PipelineSpec.model_validate(
    {
        "source": {"bucket": "bucket-a"},
        "destination": {"bucket": "bucket-b"},
        "quarantine": {"bucket": "bucket-q", "prefix": "pictures/"},
        "events": {"minio": {}},
        "onSourceDelete": "Delete",
    }
)
QUEUE = PipelineSpec.model_validate(
    {
        "source": {"bucket": "bucket-a", "region": "eu-west-1"},
        "destination": {"bucket": "bucket-b"},
        "onNotJpeg": "Skip",
        "events": {"sqs": {"queueUrl": "https://sqs.eu-west-1.amazonaws.com/123456789012/pictures"}},
    }
)
ACCESS = tuple(
    AccessSpec.model_validate(
        {
            "provider": provider,
            "admin": admin,
            "user": "user-a",
            "grants": [
                {"bucket": "bucket-a", "access": "ReadWrite"},
                {"bucket": "bucket-b", "prefix": "in/", "access": "ReadOnly"},
                {"bucket": "bucket-c", "prefix": "drop/", "access": "WriteOnly"},
            ],
            "createBuckets": True,
            "credentialsSecret": {"name": "user-a-s3"},
        }
    )
    for provider, admin in (
        ("MinIO", {"endpoint": "http://minio:9000", "credentials": {"secretRef": {"name": "minio-admin"}}}),
        ("AWS", {}),
    )
)
"""The same grants on both providers."""


def files() -> Files:
    """The page of all rights."""
    return {PATH: page()}


def page() -> str:
    """Operator, workers, then each identity of a migration."""
    database = EXAMPLE.database
    return _PAGE.format(
        notice=NOTICE,
        namespaced=_table(operator.rules(cluster=False)),
        scanning=_table(operator.scanning_rules()),
        view=_table(operator.view_rules()),
        edit=_table(operator.edit_rules()),
        source=_json(migration.source_statements(EXAMPLE)),
        destination=_json(migration.destination_statements(EXAMPLE)),
        grants=_grants(database) if database else "",
        retention=_json(retention.statements(RETENTION)),
        pipeline=_json(exifpipeline.statements(PIPELINE)),
        queue=_json(exifpipeline.queue_statements(QUEUE)),
        access="\n\n".join(map(_access, ACCESS)),
    )


def _table(rules: Iterable[operator.PolicyRule]) -> str:
    rows = (
        f"| {_group(rule['apiGroups'])} | {', '.join(rule['resources'])} | {', '.join(rule['verbs'])} |"
        for rule in rules
    )
    return "\n".join(("| API group | resources | verbs |", "|---|---|---|", *rows))


def _group(groups: Iterable[str]) -> str:
    return ", ".join(group or "core" for group in groups)


def _json(statements: Iterable[Statement]) -> str:
    return json.dumps(migration.policy(*statements), indent=2)


def _access(spec: AccessSpec) -> str:
    """What the user gets and what making it needs, part by part."""
    found = access.parts(spec, Owner("default", "user-a"))
    shown = (f"#### {part.name}: {part.about}\n\n```{_LANGUAGE[part.form]}\n{_text(part)}\n```" for part in found)
    return "\n\n".join((f"### {spec.provider}", *shown))


_LANGUAGE = {"policy": "json", "rbac": "yaml", "sql": "sql"}


def _text(part: Part) -> str:
    if part.form == "rbac":
        documents = [dict(document) for document in part.content if isinstance(document, dict)]
        return "---\n".join(map(to_yaml, documents)).strip()
    return json.dumps(part.content, indent=2)


def _grants(database: Database) -> str:
    return "\n".join(migration.sql_grants(database, "bucketops"))


_PAGE = """\
<!-- {notice} -->

# Privileges

Least privileges, as the code has them: the chart's roles, the users of the tests and this page are made from the same
data. No policy has `*` as an action. `bucketops policy KIND -f FILE` prints those of your own resource.

## The operator

It reads no Secret: it hands their names to the Jobs, and the kubelet mounts them. It creates and deletes the
credentials that S3Access makes, and patches such a resource for the sake of its finalizer.

{namespaced}

With `namespaces` the chart grants this in each of these namespaces and nowhere else: do so where you can. Without, it
grants it in the whole cluster, and then it is almost as much as `cluster-admin`: whoever has the operator's token can
create Jobs in every namespace, and a Job can mount every Secret of its namespace. The operator itself never looks at
resources in `kube-system`, `kube-public`, `kube-node-lease` or its own namespace, and its pods are restricted
([threat-model.md](threat-model.md)). Only an operator of the whole cluster also has:

{scanning}

## The workers

None. Their pods have no API token, run without root and without capabilities, and read mounted files. The one exception
is S3Access on AWS, whose Jobs put a key into one Secret, by a ServiceAccount that you make and name in the chart's
`allowed.serviceAccounts`: see below.

## People

With `rbac.aggregate: true` (it is off) the chart adds these rules to the cluster's own roles. To `view`:

{view}

To `edit` and `admin`:

{edit}

Who may create a resource can use the Secrets of its namespace that it names, as with any pod, and gets less than who
may create a pod: [threat-model.md](threat-model.md) has the table.

## S3Migration

These are the rights for objects that move from `legacy-s3/image/` to `production-s3/avatar/`, with
`cleanup.policy: Delete`. If source and destination have the same credentials, the identity needs both lists.

### Identity of the source

With `cleanup.policy: Retain` the statement `SourceDelete` goes.

```json
{source}
```

### Identity of the destination

It signs the copies, which the server makes by itself, and so it reads the source too. It can delete nothing but what
lies below `.bucketops/`. If `records` names another bucket, its identity needs to list, read, write and delete below
`.bucketops/` there.

```json
{destination}
```

### Role in the database

The last line goes with `maxReplicationLag`: replicas show their lag to those alone who may read statistics.

```sql
{grants}
```

## S3Retention

These are the rights for `mode: Apply` and `versions: All` on the bucket `deployments`, with `depth: 1` and
`keep.referencedBy: [latest.json]`. With `versions: Current` the statement `ListVersions` and the action
`s3:DeleteObjectVersion` go. With `mode: Plan` the statement `Delete` goes: who can delete nothing can make a plan.
What lies above the depth cannot be deleted with these rights: its keys have too few slashes.

```json
{retention}
```

## ExifPipeline

One identity that plays all parts, with `events.minio` and `onSourceDelete: Delete`; without these the statements
`SourceListen` and `DestinationDelete` go. It can neither write nor delete in the source. Nobody else needs to write to
the destination.

```json
{pipeline}
```

With `events.sqs` the source's identity also needs:

```json
{queue}
```

## S3Access

{access}
"""
