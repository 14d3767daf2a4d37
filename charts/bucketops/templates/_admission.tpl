{{- /*
CEL in ValidatingAdmissionPolicies: https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
The operator's own check of the same lists is operator/src/bucketops_operator/admission.py.
*/ -}}

{{- /* A list of names with * as a CEL list of regular expressions. */ -}}
{{- define "bucketops.patterns" -}}
{{- $found := list -}}
{{- range . -}}
{{- $found = append $found (printf "^%s$" (. | replace "." "\\." | replace "*" "[A-Za-z0-9._-]*")) -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{- /* The same for endpoints: a scheme, a host or * for all hosts, and perhaps a port. */ -}}
{{- define "bucketops.endpointPatterns" -}}
{{- $found := list -}}
{{- range . -}}
{{- $port := ternary "/?" "(:[0-9]{1,5})?/?" (regexMatch ":[0-9*]+$" .) -}}
{{- if hasSuffix "://*" . -}}
{{- $found = append $found (printf "^%s([A-Za-z0-9._-]+|\\[[0-9A-Fa-f:.]+\\])%s$" (trimSuffix "*" .) $port) -}}
{{- else -}}
{{- $host := . | replace "[" "\\[" | replace "]" "\\]" | replace "." "\\." | replace "*" "[A-Za-z0-9._-]*" -}}
{{- $found = append $found (printf "^%s%s$" $host $port) -}}
{{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}

{{- define "bucketops.refusal" -}}
{{- printf " + ' is not allowed here (chart value allowed.%s: %s)'" .name (default "none" (join ", " .entries)) -}}
{{- end -}}

{{- /* One kind's policy and its binding; `endpoints`: CEL for the list of all endpoints that it names. */ -}}
{{- define "bucketops.admission" -}}
{{- $allowed := .root.Values.allowed -}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {{ include "bucketops.fullname" .root }}-{{ .plural }}
  labels:
    {{- include "bucketops.labels" .root | nindent 4 }}
spec:
  failurePolicy: Fail
  matchConstraints:
    resourceRules:
      - apiGroups: [bucketops.dev]
        apiVersions: ["*"]
        operations: [CREATE, UPDATE]
        resources: [{{ .plural }}]
  # What is there already may still be labelled, suspended by its owner's deletion, and released by the operator.
  matchConditions:
    - name: spec-changes
      expression: request.operation == 'CREATE' || object.spec != oldObject.spec
  variables:
    - name: worker
      expression: "has(object.spec.worker) ? [object.spec.worker] : []"
    - name: template
      expression: "variables.worker.filter(w, has(w.template)).map(w, w.template)"
    - name: accounts
      expression: "variables.worker.filter(w, has(w.serviceAccountName) && w.serviceAccountName != 'default').map(w, w.serviceAccountName)"
    - name: priorities
      expression: "variables.template.filter(t, has(t.priorityClassName)).map(t, t.priorityClassName)"
    - name: tolerations
      expression: "variables.template.filter(t, has(t.tolerations)).map(t, t.tolerations.map(x, has(x.key) ? x.key : ''))"
    - name: labels
      expression: "variables.template.filter(t, has(t.labels)).map(t, t.labels.map(key, key))"
    - name: annotations
      expression: "variables.template.filter(t, has(t.annotations)).map(t, t.annotations.map(key, key))"
    - name: proxies
      expression: "variables.template.filter(t, has(t.env)).map(t, t.env.filter(v, v.name.lowerAscii().endsWith('s_proxy') || v.name.lowerAscii() == 'http_proxy').map(v, has(v.value) ? v.value : ''))"
    - name: endpoints
      expression: {{ .endpoints | quote }}
    - name: notAccounts
      expression: {{ printf "variables.accounts.filter(name, !%s.exists(p, name.matches(p) || (request.namespace + '/' + name).matches(p)))" (include "bucketops.patterns" $allowed.serviceAccounts) | quote }}
    - name: notPriorities
      expression: {{ printf "variables.priorities.filter(name, !%s.exists(p, name.matches(p)))" (include "bucketops.patterns" $allowed.priorityClasses) | quote }}
    - name: notTolerations
      expression: {{ printf "variables.tolerations.map(keys, keys.filter(key, !%s.exists(p, key.matches(p)))).filter(keys, keys.size() > 0)" (include "bucketops.patterns" $allowed.tolerations) | quote }}
    - name: notLabels
      expression: {{ printf "variables.labels.map(keys, keys.filter(key, !%s.exists(p, key.matches(p)))).filter(keys, keys.size() > 0)" (include "bucketops.patterns" $allowed.labels) | quote }}
    - name: notAnnotations
      expression: {{ printf "variables.annotations.map(keys, keys.filter(key, !%s.exists(p, key.matches(p)))).filter(keys, keys.size() > 0)" (include "bucketops.patterns" $allowed.annotations) | quote }}
    - name: notEndpoints
      expression: {{ printf "variables.endpoints.filter(name, !%s.exists(p, name.matches(p)))" (include "bucketops.endpointPatterns" $allowed.endpoints) | quote }}
    - name: notProxies
      expression: {{ printf "variables.proxies.map(names, names.filter(name, !%s.exists(p, name.matches(p)))).filter(names, names.size() > 0)" (include "bucketops.endpointPatterns" $allowed.endpoints) | quote }}
  validations:
    {{- if has .kind .root.Values.disabledKinds }}
    - expression: "false"
      message: {{ .kind }} is switched off in this cluster (chart value disabledKinds)
    {{- end }}
    - expression: {{ printf "!(request.namespace in %s)" (toJson (list "kube-system" "kube-public" "kube-node-lease" .root.Release.Namespace)) | quote }}
      message: bucketops never works in the namespaces of Kubernetes or in its own; use another one
    - expression: variables.notAccounts.size() == 0
      messageExpression: {{ printf "'spec.worker.serviceAccountName: ' + variables.notAccounts[0]%s" (include "bucketops.refusal" (dict "name" "serviceAccounts" "entries" $allowed.serviceAccounts)) | quote }}
    - expression: variables.notPriorities.size() == 0
      messageExpression: {{ printf "'spec.worker.template.priorityClassName: ' + variables.notPriorities[0]%s" (include "bucketops.refusal" (dict "name" "priorityClasses" "entries" $allowed.priorityClasses)) | quote }}
    - expression: variables.notTolerations.size() == 0
      messageExpression: {{ printf "'spec.worker.template.tolerations: ' + variables.notTolerations[0][0]%s" (include "bucketops.refusal" (dict "name" "tolerations" "entries" $allowed.tolerations)) | quote }}
    - expression: variables.notLabels.size() == 0
      messageExpression: {{ printf "'spec.worker.template.labels: ' + variables.notLabels[0][0]%s" (include "bucketops.refusal" (dict "name" "labels" "entries" $allowed.labels)) | quote }}
    - expression: variables.notAnnotations.size() == 0
      messageExpression: {{ printf "'spec.worker.template.annotations: ' + variables.notAnnotations[0][0]%s" (include "bucketops.refusal" (dict "name" "annotations" "entries" $allowed.annotations)) | quote }}
    - expression: variables.notEndpoints.size() == 0
      messageExpression: {{ printf "'endpoint: ' + variables.notEndpoints[0]%s" (include "bucketops.refusal" (dict "name" "endpoints" "entries" $allowed.endpoints)) | quote }}
    - expression: variables.notProxies.size() == 0
      messageExpression: {{ printf "'spec.worker.template.env: ' + variables.notProxies[0][0]%s" (include "bucketops.refusal" (dict "name" "endpoints" "entries" $allowed.endpoints)) | quote }}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ include "bucketops.fullname" .root }}-{{ .plural }}
  labels:
    {{- include "bucketops.labels" .root | nindent 4 }}
spec:
  policyName: {{ include "bucketops.fullname" .root }}-{{ .plural }}
  validationActions: [Deny]
  {{- with .root.Values.namespaces }}
  matchResources:
    namespaceSelector:
      matchExpressions:
        - {key: kubernetes.io/metadata.name, operator: In, values: {{ toJson . }}}
  {{- end }}
{{ end -}}
