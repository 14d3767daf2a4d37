"""What a release consists of, built so that the same sources are the same bytes: `make release` (docs/releasing.md)."""
