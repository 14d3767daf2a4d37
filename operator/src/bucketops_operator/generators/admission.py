"""The chart's ValidatingAdmissionPolicies: one per kind, with the fields of that kind that name an endpoint."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from bucketops_api import names
from bucketops_api.crdgen import Schema, UnsupportedSchemaError, schema
from bucketops_api.v1alpha1.kind import Kind
from bucketops_api.v1alpha1.pod_template import EXCEPTIONS, PROXIES, ZONE
from bucketops_api.v1alpha1.registry import KINDS
from bucketops_operator.generators import NOTICE
from bucketops_operator.pods import WORKER_COMMAND

_PAGE = """\
# {notice}
{{{{- define "bucketops.workerCommand" -}}}}{command}{{{{- end -}}}}
{{{{- define "bucketops.workerVariables" -}}}}{variables}{{{{- end -}}}}
{{{{- if .Values.admissionPolicy.enabled }}}}
{policies}
{{{{- end }}}}
"""
_POLICY = (
    '{{{{ include "bucketops.admission" '
    '(dict "root" . "kind" "{kind}" "plural" "{plural}" "endpoints" `{endpoints}`) }}}}'
)


def template() -> str:
    """Return the template of all kinds' policies."""
    policies = (
        _POLICY.format(kind=kind.name, plural=kind.plural, endpoints=endpoints(kind)) for kind in KINDS.values()
    )
    return _PAGE.format(
        notice=NOTICE,
        command=json.dumps(WORKER_COMMAND),
        variables=json.dumps([*PROXIES, *EXCEPTIONS, ZONE, names.ENV_RUN_DIGEST, names.ENV_INDEX]),
        policies="\n".join(policies),
    )


def endpoints(kind: Kind) -> str:
    """Return CEL for the list of all endpoints that a resource of this kind names; a queue counts by its host."""
    return " + ".join(map(_named, endpoint_fields(schema(kind.spec)))) or "[]"


def endpoint_fields(node: Schema, path: Sequence[str] = ()) -> Iterator[Sequence[str]]:
    """Yield the path of every field that names an endpoint.

    Raises UnsupportedSchemaError for one in a list or a map, of which the policies would not know.
    """
    for name, child in node.get("properties", {}).items():
        if name in {"endpoint", "queueUrl"}:
            yield (*path, name)
        else:
            yield from endpoint_fields(child, (*path, name))
    inner = (child for child in (node.get("items"), node.get("additionalProperties")) if isinstance(child, dict))
    for child in inner:
        if list(endpoint_fields(child)):
            raise UnsupportedSchemaError(f"{'.'.join(path)}: an endpoint in a list escapes the admission policies")


def _named(path: Sequence[str]) -> str:
    value = ".".join(("object.spec", *path))
    host = f"{value}.split('/', 4).filter(part, part != '')" if path[-1] == "queueUrl" else ""
    shown = f"{host}[0] + '//' + {host}[1]" if host else value
    return f"({' && '.join(_present(path))} ? [{shown}] : [])"


def _present(path: Sequence[str]) -> Iterable[str]:
    return (f"has({'.'.join(('object.spec', *path[: length + 1]))})" for length in range(len(path)))
