{{/* The alerts of ExifPipeline. docs/exif.md, "When it alerts", has a section for each. */}}
{{- define "bucketops.pipelineAlerts" -}}
- alert: BucketopsPipelineDeaf
  expr: |-
    max by (namespace, name) (bucketops_resource_listeners_wanted{kind="ExifPipeline"}) > 0
      and max by (namespace, name) (bucketops_resource_listeners_listening{kind="ExifPipeline"}) == 0
  for: 5m
  labels: {severity: critical}
  annotations:
    summary: {{ `"Nobody hears the events of ExifPipeline {{ $labels.namespace }}/{{ $labels.name }}"` }}
    description: {{ `"No pod of it listens: pictures that arrive wait for the next sweep."` }}
    runbook: docs/exif.md#bucketopspipelinedeaf
- alert: BucketopsPipelineListenersMissing
  expr: |-
    max by (namespace, name) (bucketops_resource_listeners_listening{kind="ExifPipeline"}) > 0
      and max by (namespace, name) (bucketops_resource_listeners_listening{kind="ExifPipeline"}) < max by (namespace, name) (bucketops_resource_listeners_wanted{kind="ExifPipeline"})
  for: 10m
  labels: {severity: warning}
  annotations:
    summary: {{ `"Pods of ExifPipeline {{ $labels.namespace }}/{{ $labels.name }} do not hear events"` }}
    description: {{ `"{{ $value }} of its pods listen, which are fewer than spec.replicas: with events.minio the keys of the others wait for the next sweep."` }}
    runbook: docs/exif.md#bucketopspipelinelistenersmissing
- alert: BucketopsPipelineStreamLost
  expr: |-
    max by (namespace, name) (increase(bucketops_resource_events_gaps{kind="ExifPipeline"}[1h]))
      > 3 * max by (namespace, name) (bucketops_resource_listeners_wanted{kind="ExifPipeline"})
  labels: {severity: warning}
  annotations:
    summary: {{ `"ExifPipeline {{ $labels.namespace }}/{{ $labels.name }} misses events again and again"` }}
    description: {{ `"{{ $value | humanize }} times within an hour its pods began to hear anew; each time a sweep of what was missed is started."` }}
    runbook: docs/exif.md#bucketopspipelinestreamlost
- alert: BucketopsPipelineEventsDropped
  expr: max by (namespace, name) (increase(bucketops_resource_events_dropped{kind="ExifPipeline"}[15m])) > 0
  labels: {severity: warning}
  annotations:
    summary: {{ `"ExifPipeline {{ $labels.namespace }}/{{ $labels.name }} has no room for its events"` }}
    description: {{ `"{{ $value | humanize }} events within 15 minutes found 100,000 keys waiting in their pod; a sweep makes them good once there is room."` }}
    runbook: docs/exif.md#bucketopspipelineeventsdropped
- alert: BucketopsPipelineEventsLost
  expr: |-
    max by (namespace, name) (increase(bucketops_resource_pictures_repaired{kind="ExifPipeline"}[1h])) > 10
      and max by (namespace, name) (increase(bucketops_resource_pictures_repaired{kind="ExifPipeline"}[1h]))
        > 0.05 * max by (namespace, name) (increase(bucketops_resource_pictures_processed{kind="ExifPipeline"}[1h]))
  for: 5m
  labels: {severity: warning}
  annotations:
    summary: {{ `"Events of ExifPipeline {{ $labels.namespace }}/{{ $labels.name }} are lost"` }}
    description: {{ `"Sweeps did {{ $value | humanize }} pictures within an hour of which no event had told."` }}
    runbook: docs/exif.md#bucketopspipelineeventslost
- alert: BucketopsPipelineBacklogOld
  expr: max by (namespace, name) (bucketops_resource_events_oldest_pending_seconds{kind="ExifPipeline"}) > {{ .Values.metrics.prometheusRule.pipeline.oldestPendingSeconds }}
  for: 5m
  labels: {severity: warning}
  annotations:
    summary: {{ `"Pictures of ExifPipeline {{ $labels.namespace }}/{{ $labels.name }} wait for {{ $value | humanizeDuration }}"` }}
    description: {{ `"The oldest event that was heard is not done for so long."` }}
    runbook: docs/exif.md#bucketopspipelinebacklogold
- alert: BucketopsPipelineBacklogGrows
  expr: |-
    max by (namespace, name) (bucketops_resource_events_pending{kind="ExifPipeline"}) > 1000
      and max by (namespace, name) (deriv(bucketops_resource_events_pending{kind="ExifPipeline"}[15m])) > 0
  for: 15m
  labels: {severity: warning}
  annotations:
    summary: {{ `"The backlog of ExifPipeline {{ $labels.namespace }}/{{ $labels.name }} grows"` }}
    description: {{ `"{{ $value }} pictures wait, and more arrive than are done."` }}
    runbook: docs/exif.md#bucketopspipelinebackloggrows
- alert: BucketopsPipelineSlow
  expr: max by (namespace, name) (bucketops_resource_events_latency_p99_milliseconds{kind="ExifPipeline"}) / 1000 > {{ .Values.metrics.prometheusRule.pipeline.latencyP99Seconds }}
  for: 15m
  labels: {severity: warning}
  annotations:
    summary: {{ `"ExifPipeline {{ $labels.namespace }}/{{ $labels.name }} is slow"` }}
    description: {{ `"Of 100 pictures one takes longer than {{ $value | humanizeDuration }} from its event to the clean picture."` }}
    runbook: docs/exif.md#bucketopspipelineslow
- alert: BucketopsPipelineRefusesMany
  expr: |-
    max by (namespace, name) (delta(bucketops_resource_pictures_quarantined{kind="ExifPipeline"}[1h]) + delta(bucketops_resource_pictures_skipped{kind="ExifPipeline"}[1h])) > 10
      and max by (namespace, name) (delta(bucketops_resource_pictures_quarantined{kind="ExifPipeline"}[1h]) + delta(bucketops_resource_pictures_skipped{kind="ExifPipeline"}[1h]))
        > {{ .Values.metrics.prometheusRule.pipeline.refusedPercent }} / (100 - {{ .Values.metrics.prometheusRule.pipeline.refusedPercent }}) * max by (namespace, name) (increase(bucketops_resource_pictures_processed{kind="ExifPipeline"}[1h]))
  for: 5m
  labels: {severity: warning}
  annotations:
    summary: {{ `"ExifPipeline {{ $labels.namespace }}/{{ $labels.name }} cannot make many pictures clean"` }}
    description: {{ `"{{ $value | humanize }} more than an hour ago are refused, which is more than ` }}{{ .Values.metrics.prometheusRule.pipeline.refusedPercent }}{{ ` percent of those that came."` }}
    runbook: docs/exif.md#bucketopspipelinerefusesmany
- alert: BucketopsPipelineFailing
  expr: max by (namespace, name) (increase(bucketops_resource_pictures_failed{kind="ExifPipeline"}[30m])) > 5
  for: 5m
  labels: {severity: warning}
  annotations:
    summary: {{ `"ExifPipeline {{ $labels.namespace }}/{{ $labels.name }} fails with pictures"` }}
    description: {{ `"{{ $value | humanize }} tries failed within 30 minutes for another reason than the picture itself; status.samples names the first and says why."` }}
    runbook: docs/exif.md#bucketopspipelinefailing
- alert: BucketopsPipelineQuarantineFails
  expr: max by (namespace, name) (increase(bucketops_resource_refusals_unwritten{kind="ExifPipeline"}[15m])) > 0
  labels: {severity: warning}
  annotations:
    summary: {{ `"ExifPipeline {{ $labels.namespace }}/{{ $labels.name }} cannot write down what it refuses"` }}
    description: {{ `"{{ $value | humanize }} refusals within 15 minutes could not be written; nobody learns of these pictures, and each sweep reads them again."` }}
    runbook: docs/exif.md#bucketopspipelinequarantinefails
- alert: BucketopsPipelineSweepOverdue
  expr: max by (namespace, name) (bucketops_resource_sweep_overdue_timestamp_seconds{kind="ExifPipeline"} > 0) < time()
  for: 1m
  labels: {severity: critical}
  annotations:
    summary: {{ `"ExifPipeline {{ $labels.namespace }}/{{ $labels.name }} is not swept"` }}
    description: {{ `"Three sweeps of its schedule were due since one came to its end: whatever events missed is not made good."` }}
    runbook: docs/exif.md#bucketopspipelinesweepoverdue
{{- end -}}
