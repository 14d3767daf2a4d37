"""Group bucketops.dev, version v1alpha1: a module for each kind, and registry.py, which imports them all.

This file imports none: a worker needs the models of its own kind alone, and to make those of all kinds takes long.
"""

from bucketops_api.names import GROUP

VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

__all__ = ["API_VERSION", "GROUP", "VERSION"]
