"""The bucketops operator: resources go in; runs, their progress and their outcome come out."""
