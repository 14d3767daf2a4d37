"""`helm test`: the resource definitions are served, and the operator answers."""  # noqa: INP001 - runs by itself

from __future__ import annotations

import json
import os
import ssl
import sys
import urllib.request
from pathlib import Path

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
DISCOVERY = "https://kubernetes.default.svc/apis/bucketops.dev/v1alpha1"


def served() -> list[str]:
    """The kinds that the API server knows; every ServiceAccount may ask for them."""
    trust = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    bearer = {"Authorization": f"Bearer {(ACCOUNT / 'token').read_text()}"}
    with urllib.request.urlopen(urllib.request.Request(DISCOVERY, headers=bearer), context=trust, timeout=10) as answer:
        return sorted({resource["kind"] for resource in json.load(answer)["resources"]})


def metrics() -> str:
    """What the operator tells Prometheus."""
    with urllib.request.urlopen(os.environ["METRICS_URL"], timeout=10) as answer:  # noqa: S310 - set by the chart
        text: str = answer.read().decode()
        return text


kinds = served()
if "bucketops_" not in metrics():
    sys.exit("the operator's metrics name nothing of bucketops: look into its log")
sys.stdout.write(f"served: {', '.join(kinds)}; the operator answers\n")
