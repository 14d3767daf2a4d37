"""The chart's roles, from the privileges."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

from bucketops_api.privileges import operator
from bucketops_operator.generators import NOTICE
from bucketops_operator.generators.text import to_yaml

_RBAC = """\
# {notice}
{{{{- if .Values.rbac.create }}}}
{{{{- if .Values.namespaces }}}}
{{{{- range .Values.namespaces }}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {{{{ include "bucketops.fullname" $ }}}}
  namespace: {{{{ . }}}}
  labels:
    {{{{- include "bucketops.labels" $ | nindent 4 }}}}
rules:
{namespaced}---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {{{{ include "bucketops.fullname" $ }}}}
  namespace: {{{{ . }}}}
  labels:
    {{{{- include "bucketops.labels" $ | nindent 4 }}}}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {{{{ include "bucketops.fullname" $ }}}}
subjects:
  - kind: ServiceAccount
    name: {{{{ include "bucketops.serviceAccountName" $ }}}}
    namespace: {{{{ $.Release.Namespace }}}}
{{{{- end }}}}
{{{{- else }}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{{{ include "bucketops.fullname" . }}}}
  labels:
    {{{{- include "bucketops.labels" . | nindent 4 }}}}
rules:
{cluster}---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: {{{{ include "bucketops.fullname" . }}}}
  labels:
    {{{{- include "bucketops.labels" . | nindent 4 }}}}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: {{{{ include "bucketops.fullname" . }}}}
subjects:
  - kind: ServiceAccount
    name: {{{{ include "bucketops.serviceAccountName" . }}}}
    namespace: {{{{ .Release.Namespace }}}}
{{{{- end }}}}
{{{{- end }}}}
{{{{- if .Values.rbac.aggregate }}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{{{ include "bucketops.fullname" . }}}}-view
  labels:
    {{{{- include "bucketops.labels" . | nindent 4 }}}}
    rbac.authorization.k8s.io/aggregate-to-view: "true"
rules:
{view}---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{{{ include "bucketops.fullname" . }}}}-edit
  labels:
    {{{{- include "bucketops.labels" . | nindent 4 }}}}
    rbac.authorization.k8s.io/aggregate-to-edit: "true"
    rbac.authorization.k8s.io/aggregate-to-admin: "true"
rules:
{edit}{{{{- end }}}}
"""


def template() -> str:
    """Roles and bindings: for the whole cluster or, with `namespaces`, in each of these alone."""
    return _RBAC.format(
        notice=NOTICE,
        namespaced=_rules(operator.rules(cluster=False)),
        cluster=_rules(operator.rules(cluster=True)),
        view=_rules(operator.view_rules()),
        edit=_rules(operator.edit_rules()),
    )


def _rules(rules: Iterable[operator.PolicyRule]) -> str:
    """The rules as YAML; those of a kind alone go with the kind, if the values switch it off."""
    return "".join(map(_rule, itertools.chain.from_iterable(map(_per_kind, rules))))


def _per_kind(rule: operator.PolicyRule) -> Iterable[operator.PolicyRule]:
    """One rule for each set of kinds that need it."""
    for kinds, resources in itertools.groupby(rule["resources"], operator.needed_by):
        yield rule | {"resources": list(resources), "kinds": kinds}


def _rule(rule: operator.PolicyRule) -> str:
    kinds: tuple[str, ...] = rule["kinds"]
    text = to_yaml([{key: value for key, value in rule.items() if key != "kinds"}], indent=2, flow_leaves=True)
    if not kinds:
        return text
    off = " ".join(f'(has "{kind}" $.Values.disabledKinds)' for kind in kinds)
    every = f"(and {off})" if len(kinds) > 1 else off
    return f"  {{{{- if not {every} }}}}\n{text}  {{{{- end }}}}\n"
