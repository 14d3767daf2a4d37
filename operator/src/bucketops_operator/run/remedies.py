"""What to do about objects and rows that did not end well, by the outcome of their samples."""

from __future__ import annotations

from typing import NamedTuple


class Remedy(NamedTuple):
    """What an outcome means, and what a person does about it."""

    meaning: str
    what_to_do: str


_SEE = "see the message"
REMEDIES = {
    "conflict": Remedy(
        "the destination holds other content",
        "compare both objects, then rename or delete one, or say in onConflict which one stays; run it again",
    ),
    "failed": Remedy("could not be done", "mend what the message names, then run the same command again"),
    "rowFailed": Remedy("the database refuses to rewrite the row", "mend what the message names, then run it again"),
    "missingSource": Remedy(
        "a row names an object that neither place has",
        "restore the object, or correct the row; until then the row stays as it is",
    ),
    "changedByApp": Remedy("the application changed it meanwhile", "nothing: what the application wrote stands"),
    "kept": Remedy(
        "the legacy object stays", "run the same command again; what the message names must be over by then"
    ),
    "notKept": Remedy(
        "moved, but its copy lacks a property of the original",
        "set the property on the copy if somebody needs it; docs/migration.md, 'What travels with an object'",
    ),
    "leftover": Remedy("a row still names a legacy object", "see which program writes legacy paths, then run it again"),
    "dangling": Remedy("a row names no object", "restore the object from a backup, then run it again"),
    "unfinished": Remedy("the work on it has not ended", "run the same command again"),
    "undeleted": Remedy("its original is still there", "mend what the message names, then run it again"),
    "planned": Remedy("would be deleted", "set mode: Apply to delete; keep one by a rule of spec.keep"),
    "skipped": Remedy("received an object after the plan, so it stays", "nothing: the next run looks at it anew"),
    "refused": Remedy(
        "there is no clean picture of it",
        "docs/exif.md, 'What is refused', has each reason; upload a whole picture in its place",
    ),
    "notAsGranted": Remedy(
        "a call was answered otherwise than it is granted",
        "look for a bucket policy, or another policy of the user or its groups, that grants or denies it",
    ),
    "foreignKey": Remedy("an access key that was not made here", "delete it if nobody uses it"),
    "repaired": Remedy("somebody had changed it by hand", "nothing: it is as the spec says again"),
}
OTHERWISE = Remedy("did not end well", _SEE)
READ_ON = {
    "S3Migration": "docs/migration.md: 'Working with it', 'The report', 'Going back'",
    "S3Retention": "docs/retention.md: every rule by example, and how to try it before production",
    "ExifPipeline": "docs/exif.md: 'What is refused', 'Sweeps'",
    "S3Access": "docs/access.md: 'The proof', 'Rotation', 'Drift'",
}
