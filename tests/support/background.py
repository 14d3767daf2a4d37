"""Something that goes on beside a test; the demo has it, too."""

from __future__ import annotations

from bucketops.demo.background import Background

__all__ = ["Background"]
