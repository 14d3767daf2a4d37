"""S3Migration against people who may put objects where its journal lies: they say nothing of what was moved."""

from __future__ import annotations

from typing import Any

import pytest

from bucketops_jobs.migration.journal import ROOT, Writer
from bucketops_jobs.migration.merge import Entry, Outcome
from bucketops_jobs.records import Records
from bucketops_jobs.seal import Seal
from support.avatars import LEGACY, MODERN, name, picture, s3_client
from support.driver import Driver, condition, message, reason
from support.identities import Identity, store_user
from support.servers import ADMIN, PASSWORD

pytestmark = pytest.mark.slow

THEIRS = b"what somebody else has put where a picture is to come"


class Putting:
    """A store for a Records that writes, by the rights of a user who may put objects anywhere and do nothing else."""

    def __init__(self, lab: Any) -> None:
        self.bucket = lab.world.destination
        statement = {"Effect": "Allow", "Action": ["s3:PutObject"], "Resource": [f"arn:aws:s3:::{self.bucket}/*"]}
        document: dict[str, object] = {"Version": "2012-10-17", "Statement": [statement]}
        user = store_user(lab.endpoint, Identity(ADMIN, PASSWORD), document)
        self._s3 = s3_client(lab.endpoint, user.name, user.password)

    def put(self, key: str, body: bytes, _headers: Any) -> str:
        return str(self._s3.put_object(Bucket=self.bucket, Key=key, Body=body)["ETag"]).strip('"')


def forge(lab: Any, driver: Driver, entries: dict[str, Entry], seal: Seal | None = None, epoch: str = "000000") -> None:
    """Write a file of the journal: everybody who reads the documentation can tell where and how."""
    putting: Any = Putting(lab)
    folder = driver.status["records"].removeprefix(f"s3://{putting.bucket}/")
    Writer(Records(putting, folder, seal), epoch, 0, 1).chunk().done(sorted(entries.items()))


def etag(lab: Any, bucket: str, key: str) -> str:
    return str(lab.world.s3.head_object(Bucket=bucket, Key=key)["ETag"]).strip('"')


def moved(lab: Any, number: int) -> Entry:
    """As if it had been copied, and the application had replaced the copy since."""
    return Entry(
        source_etag=etag(lab, lab.world.source, LEGACY + name(number)),
        source_size=len(picture(number)),
        copied=True,
        before=None,
        committed=True,
        after=etag(lab, lab.world.source, LEGACY + name(number)),
        outcome=Outcome.MOVED,
    )


@pytest.mark.parametrize("seal", [None, Seal([b"a guess"])], ids=["unsealed", "sealed by them"])
def test_a_forged_moved_leaves_the_original_where_it_is(lab: Any, seal: Seal | None) -> None:
    """Under onConflict: Fail, with other content at the new key: that is a conflict, whatever the journal says."""
    lab.world.seed(legacy=range(1, 11))
    lab.world.s3.put_object(Bucket=lab.world.destination, Key=MODERN + name(3), Body=THEIRS)
    driver: Driver = lab.drive(lab.spec())
    driver.before("sweep", lambda: forge(lab, driver, {name(3): moved(lab, 3)}, seal, "000090"))
    status = driver.finish()
    assert reason(status, "Failed") == "PartiallyFailed"
    assert (status["outcomes"]["moved"], status["outcomes"]["conflict"]) == (9, 1)
    assert set(lab.world.keys(lab.world.source)) == {LEGACY + name(3)}
    assert [path for path in lab.world.paths() if path.startswith(LEGACY)] == [LEGACY + name(3)]
    assert lab.world.body(lab.world.destination, MODERN + name(3)) == THEIRS


def test_a_forged_file_is_named_by_the_next_preflight_and_stays(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 4))
    driver: Driver = lab.drive(lab.spec())
    assert condition(driver.finish(), "Complete")
    forge(lab, driver, {name(2): Entry("x", 1, copied=True, before=None)})
    driver.change(lab.spec(trigger="again"))
    assert condition(driver.until(lambda s: s.get("lastTrigger") == "again" and condition(s, "Complete")), "Complete")
    told = [event.message for _, event in driver.local.events if "bear no seal" in event.message]
    assert len(told) == 1
    assert "1 files of the journal bear no seal of this migration" in told[0]
    kept = lab.world.s3.list_objects_v2(Bucket=lab.world.destination, Prefix=".bucketops/")["Contents"]
    (key,) = [row["Key"] for row in kept if f"/{ROOT}000000/" in row["Key"]]
    assert key in told[0]


def test_a_forged_entry_changes_nothing_in_a_rollback(lab: Any) -> None:
    """One says that the application's own picture was moved, one that a moved one was not, one that it came back."""
    lab.world.seed(legacy=range(1, 11), modern=[1001])
    before = (lab.world.paths(), sorted(lab.world.keys(lab.world.source)), lab.world.keys(lab.world.destination))
    migration: Driver = lab.drive(lab.spec())
    assert condition(migration.finish(), "Complete")
    native = Entry("0" * 32, len(picture(1001)), copied=True, before=None, committed=True, outcome=Outcome.MOVED)
    gone = Entry("", 0, copied=False, before=None, committed=True, outcome=Outcome.FAILED)
    back = Entry("0" * 32, 1, copied=True, before=None, committed=True, after="0" * 32, outcome=Outcome.MOVED)
    for epoch, entries in {"000090": {name(1001): native, name(2): gone}, "000091-back": {name(3): back}}.items():
        forge(lab, migration, entries, epoch=epoch)
    undo: Driver = lab.drive({"rollbackOf": "avatars"}, "undo", origin=migration)
    status = undo.finish()
    assert condition(status, "Complete"), status
    assert message(status, "Complete") == "10 objects copied back, 0 were there already, 10 rows rewritten"
    assert lab.world.paths() == before[0]
    assert sorted(lab.world.keys(lab.world.source)) == before[1]
    assert lab.world.keys(lab.world.destination) == before[2]


def test_a_rollback_by_nothing_but_forged_files_is_refused(lab: Any) -> None:
    lab.world.seed(legacy=range(1, 4))
    migration: Driver = lab.drive(lab.spec(mode="Plan"))
    assert condition(migration.finish(), "Complete")
    forge(lab, migration, {name(2): Entry("x", 1, copied=True, before=None)})
    status = lab.drive({"rollbackOf": "avatars"}, "undo", origin=migration).finish()
    assert "holds no journal of it" in message(status, "Stalled")
    assert "1 files of the journal bear no seal" in message(status, "Stalled")
    assert lab.world.keys(lab.world.destination) == {}


def test_the_journal_outlives_the_key_of_its_secret(lab: Any) -> None:
    """Another identity in the Secret, and nobody has kept the former key: the status's own key is enough."""
    lab.world.seed(legacy=range(1, 11))
    driver: Driver = lab.drive(lab.spec())
    other = lab.secrets(lab.spec())["avatars-s3"]
    kept = {key: value for key, value in other.items() if key.startswith("AWS_")}
    driver.before("sweep", lambda: driver.local.rotate(driver.resource, "avatars-s3", kept))
    status = driver.finish()
    assert condition(status, "Complete"), status
    assert (status["outcomes"]["moved"], status["outcomes"]["already"]) == (10, 0)
