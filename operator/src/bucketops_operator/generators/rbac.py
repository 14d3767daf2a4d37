"""The chart's roles, from the privileges."""

from __future__ import annotations

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
    return to_yaml(list(rules), indent=2, flow_leaves=True)
