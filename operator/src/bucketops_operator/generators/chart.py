"""The generated parts of the chart: CRDs, the operator's roles, the schema of the values."""

from __future__ import annotations

import hashlib
import json
from pathlib import PurePosixPath

from bucketops_api.crdgen import Schema, crd
from bucketops_api.names import GROUP
from bucketops_api.v1alpha1.kind import Kind
from bucketops_api.v1alpha1.registry import KINDS
from bucketops_operator.chart_values import Values
from bucketops_operator.generators import NOTICE, Files, admission, rbac
from bucketops_operator.generators.text import escaped, to_yaml

CHART = PurePosixPath("charts/bucketops")
SCHEMA_HASH = f"{GROUP}/schema-hash"


def files() -> Files:
    """All generated files of the chart."""
    crds = {CHART / f"templates/crds/{kind.plural}.yaml": crd_template(kind) for kind in KINDS.values()}
    return crds | {
        CHART / "templates/rbac.yaml": rbac.template(),
        CHART / "templates/admissionpolicy.yaml": admission.template(),
        CHART / "values.schema.json": values_schema(),
    }


_CRD = """\
# {notice}
{{{{- if .Values.crds.install }}}}
apiVersion: {version}
kind: {kind}
metadata:
  name: {name}
  labels:
    {{{{- include "bucketops.labels" . | nindent 4 }}}}
  annotations:
    {hash_name}: "{hash}"
    {{{{- if .Values.crds.keep }}}}
    helm.sh/resource-policy: keep
    {{{{- end }}}}
{spec}{{{{- end }}}}
"""


def crd_template(kind: Kind) -> str:
    """The CRD of a kind; kept on uninstall unless told otherwise, because its resources would go with it."""
    made = crd(kind)
    return _CRD.format(
        notice=NOTICE,
        version=made["apiVersion"],
        kind=made["kind"],
        name=made["metadata"]["name"],
        hash_name=SCHEMA_HASH,
        hash=schema_hash(made),
        spec=escaped(to_yaml({"spec": made["spec"]})),
    )


def schema_hash(made: Schema) -> str:
    """Tells a CRD of one release from that of another."""
    return hashlib.sha256(json.dumps(made["spec"], sort_keys=True).encode()).hexdigest()[:16]


def values_schema() -> str:
    """What Helm checks the user's values against."""
    schema = {"$comment": NOTICE, "$schema": "http://json-schema.org/draft-07/schema#"}
    schema |= Values.model_json_schema(by_alias=True)
    return json.dumps(schema, indent=2) + "\n"
