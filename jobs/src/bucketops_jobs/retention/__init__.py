"""S3Retention: which deployment folders go, decided by pure rules, and their removal."""
