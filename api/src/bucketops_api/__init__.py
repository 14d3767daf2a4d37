"""What the bucketops operator and its workers agree on. Depends on pydantic alone."""

__version__ = "0.1.0"
