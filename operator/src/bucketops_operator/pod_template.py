"""What worker pods have beside their work: what a resource says, over what the chart's owner says for all of them."""

from __future__ import annotations

from bucketops_api.v1alpha1.pod_template import WorkerSecurity, WorkerTemplate


def merged(defaults: WorkerTemplate, given: WorkerTemplate) -> WorkerTemplate:
    """Return the template of a pod: maps and lists of both, and of all else what is given, or else the default.

    Of two entries with one name the resource's holds. Resources are merged in pod_resources.py.
    """
    return given.model_copy(
        update={
            "labels": defaults.labels | given.labels,
            "annotations": defaults.annotations | given.annotations,
            "node_selector": defaults.node_selector | given.node_selector,
            "tolerations": [*defaults.tolerations, *given.tolerations],
            "image_pull_secrets": [*defaults.image_pull_secrets, *given.image_pull_secrets],
            "env": list({variable.name: variable for variable in (*defaults.env, *given.env)}.values()),
            "affinity": given.affinity or defaults.affinity,
            "priority_class_name": given.priority_class_name or defaults.priority_class_name,
            "topology_spread_constraints": given.topology_spread_constraints or defaults.topology_spread_constraints,
            "security_context": _security(defaults.security_context, given.security_context),
        }
    )


def _security(defaults: WorkerSecurity, given: WorkerSecurity) -> WorkerSecurity:
    named = {name: getattr(given, name) for name in WorkerSecurity.model_fields}
    return defaults.model_copy(update={name: value for name, value in named.items() if value})
