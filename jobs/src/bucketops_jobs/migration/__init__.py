"""S3Migration: a merge join with a journal. `merge.py` decides; the phases do."""
