"""`bucketops demo`: the main job on a real S3 server and a real PostgreSQL, which live and die with the command."""
