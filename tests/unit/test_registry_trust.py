"""Who may move an alias, what is vouched for, what leaves and enters a registry, what is thrown
away."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from daemon.errors import BlobError, ConfigError, Conflict, NeedsSecondPerson, NotPromotable
from daemon.registry import Blobs, Registry
from daemon.registry.aliases import Protection
from daemon.registry.exporting import CARD, ENVELOPE, export, import_
from daemon.registry.fitting import check_fit
from daemon.store.engine import Database
from daemon.store.rows import EvaluationRow
from tests.daemon_support import NOW, StillClock, adapter_folder

PASSED = Protection(aliases=frozenset({"production"}))


class Shop:
    """A registry with a clock that can be moved."""

    def __init__(self, folder: Path, protection: Protection = PASSED) -> None:
        self.folder = folder
        self.clock = StillClock()
        self.database = Database.open(f"sqlite:///{folder / 'almanac.db'}")
        self.blobs = Blobs(folder / "blobs")
        self.registry = Registry(self.database, self.blobs, self.clock, protection=protection)

    def add(self, seed: int, verdict: str | None = "pass") -> str:
        folder = adapter_folder(self.folder / f"a{seed}", seed)
        version = self.registry.register(folder, base_model="base", manifest={"seed": seed})
        assert version.digest is not None
        if verdict is not None:
            row = EvaluationRow(
                adapter_digest=version.digest,
                verdict=verdict,
                policy="demo",
                gate={},
                evaluation={"metrics": {"candidate": {"efficacy": {"value": 0.9, "n": 12}}}},
                created_at=NOW,
            )
            with self.database.write() as session:
                self.registry.add_evaluation(session, row)
        return version.digest

    def promote(self, digest: str | None, actor: str = "ann", **more: object):
        return self.registry.promote("production", digest, actor=actor, reason="r", **more)  # type: ignore[arg-type]

    def run(self, statement: str) -> None:
        with self.database.write() as session:
            session.exec(text(statement))  # type: ignore[call-overload]


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.database.close()


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Shop]:
    made = Shop(tmp_path / "elsewhere")
    yield made
    made.database.close()


# -- what an alias takes --------------------------------------------------------------------------


def test_an_alias_that_is_not_protected_takes_any_version(shop: Shop) -> None:
    digest = shop.add(1, None)
    move = shop.registry.promote("staging", digest, actor="ann", reason="to try it")
    assert (move.action, shop.registry.current("staging")) == ("promote", (1, digest))
    with pytest.raises(NotPromotable, match="never evaluated"):
        shop.promote(digest)


def test_a_verdict_under_an_earlier_policy_does_not_promote(tmp_path: Path) -> None:
    policy = ["first"]
    shop = Shop(tmp_path, replace(PASSED, policy_digest=lambda: policy[0]))
    digest = shop.add(1)
    policy[0] = "stricter"
    with pytest.raises(NotPromotable, match="another one now"):
        shop.promote(digest)
    assert shop.promote(digest, override=True).action == "override"
    shop.promote(shop.add(2))
    assert shop.registry.rollback(actor="ann", reason="no gate").to_digest == digest
    shop.database.close()


def test_a_policy_that_cannot_be_read_does_not_stop_a_rollback(tmp_path: Path) -> None:
    readable = [True]

    def policy() -> str:
        if not readable[0]:
            raise ConfigError("no such policy")
        return "p"

    shop = Shop(tmp_path, replace(PASSED, policy_digest=policy))
    one, two = shop.add(1), shop.add(2)
    shop.promote(one)
    shop.promote(two)
    readable[0] = False
    with pytest.raises(ConfigError):
        shop.promote(one)
    assert shop.registry.rollback(actor="ann", reason="r").to_digest == one
    shop.database.close()


def test_an_override_takes_two_people_where_the_settings_say_so(tmp_path: Path) -> None:
    shop = Shop(tmp_path, replace(PASSED, second_person=True))
    doubtful = shop.add(1, "inconclusive")
    for _ in range(2):
        with pytest.raises(NeedsSecondPerson, match="somebody else"):
            shop.promote(doubtful, "ann", override=True)
    assert shop.registry.current() == (0, None)
    move = shop.promote(doubtful, "ben", override=True)
    assert (move.action, move.actor) == ("override", "ann and ben")
    shop.promote(shop.add(2))
    with pytest.raises(NeedsSecondPerson):  # what ben confirmed is used up
        shop.promote(doubtful, "ben", override=True)
    shop.database.close()


def test_a_wish_is_void_once_the_alias_moved(tmp_path: Path) -> None:
    shop = Shop(tmp_path, replace(PASSED, second_person=True))
    doubtful = shop.add(1, "inconclusive")
    with pytest.raises(NeedsSecondPerson):
        shop.promote(doubtful, "ann", override=True)
    shop.promote(shop.add(2))
    with pytest.raises(NeedsSecondPerson):
        shop.promote(doubtful, "ben", override=True)
    shop.database.close()


def test_a_frozen_alias_is_not_promoted_but_can_be_rolled_back(shop: Shop) -> None:
    one, two = shop.add(1), shop.add(2)
    shop.promote(one)
    shop.registry.freeze(actor="ann", reason="the minister may resign")
    with pytest.raises(Conflict, match="frozen by ann"):
        shop.promote(two)
    with pytest.raises(Conflict, match="already"):
        shop.registry.freeze(actor="ben", reason="again")
    assert shop.registry.rollback(actor="ben", reason="wrong").to_digest is None
    shop.registry.unfreeze(actor="ann", reason="over")
    shop.promote(two)
    actions = [move.action for move in shop.registry.history()]
    assert actions == ["promote", "freeze", "rollback", "unfreeze", "promote"]
    assert shop.registry.broken_at() is None
    assert shop.registry.before() == (True, None)


# -- what is vouched for --------------------------------------------------------------------------


def test_the_key_is_made_once_and_is_nobody_elses_to_read(shop: Shop) -> None:
    first = shop.registry.keys.public()
    assert Registry(shop.database, shop.blobs, shop.clock).keys.public() == first
    private = shop.folder / "keys" / "registry.pem"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    private.write_text("nonsense")
    with pytest.raises(ConfigError, match="cannot be read"):
        shop.registry.keys.public()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("statement = json_set(statement, '$.base_digest', 'other')", "manifest .* was altered"),
        ("signature = '00' || substr(signature, 3)", "manifest .* was altered"),
        ("manifest = json_set(manifest, '$.seed', 9)", "manifest is not what"),
        ("base_model = 'other'", "base_model is not what"),
        ("parent_digest = 'ab'", "parent is not what"),
    ],
)
def test_an_altered_record_is_refused(shop: Shop, change: str, words: str) -> None:
    digest = shop.add(1)
    shop.registry.verify(digest)
    shop.run(f"UPDATE adapter SET {change}")
    with pytest.raises(BlobError, match=words):
        shop.registry.verify(digest)
    with pytest.raises(BlobError):
        shop.promote(digest)


def test_a_version_of_a_lost_key_is_believed_once_the_key_is_trusted(shop: Shop) -> None:
    digest = shop.add(1)
    old = shop.registry.keys.public()
    shutil.rmtree(shop.folder / "keys")
    shop.registry.keys.public()
    with pytest.raises(BlobError, match="no key that is trusted"):
        shop.registry.verify(digest)
    shop.registry.keys.trust("before-the-fire", old)
    shop.registry.verify(digest)


# -- out and in -----------------------------------------------------------------------------------


def test_an_export_is_taken_where_its_key_is_trusted(shop: Shop, other: Shop) -> None:
    digest = shop.add(1)
    folder = export(shop.registry, digest, shop.folder / "out" / "v1")
    card = (folder / CARD).read_text()
    assert digest in card and "| efficacy | 0.900 |" in card and "**pass**" in card
    with pytest.raises(BlobError, match="registry trust NAME"):
        import_(other.registry, folder)
    other.registry.keys.trust("friend", shop.registry.keys.public())
    other.add(7)
    version = import_(other.registry, folder)
    assert (version.digest, version.number) == (digest, 2)
    origin = other.registry.provenance(digest).statement["origin"]
    assert (origin["signed_by"], origin["version"]) == ("friend", 1)
    with pytest.raises(NotPromotable, match="never evaluated"):  # another's verdict is not ours
        other.promote(digest)
    with pytest.raises(Conflict, match="there already"):
        export(shop.registry, digest, folder)


@pytest.mark.parametrize("how", ["weights", "card", "manifest", "pickle", "missing", "link"])
def test_an_export_that_was_tampered_with_is_refused(shop: Shop, other: Shop, how: str) -> None:
    folder = export(shop.registry, shop.add(1), shop.folder / "v1")
    other.registry.keys.trust("friend", shop.registry.keys.public())
    match how:
        case "weights":
            path = folder / "adapter_model.safetensors"
            path.write_bytes(path.read_bytes()[:-1] + b"x")
        case "card":
            (folder / CARD).write_text("nothing to see")
        case "manifest":
            path = folder / ENVELOPE
            path.write_text(path.read_text().replace('"base_model": "base"', '"base_model": "b"'))
        case "pickle":
            (folder / "extra.pkl").write_bytes(b"\x80\x04.")
        case "missing":
            (folder / CARD).unlink()
        case "link":
            (folder / "more").symlink_to("/etc/hostname")
    with pytest.raises(BlobError):
        import_(other.registry, folder)
    assert len(other.registry.versions()) == 1


def test_an_export_of_another_format_is_refused(shop: Shop) -> None:
    folder = export(shop.registry, shop.add(1), shop.folder / "v1")
    for content in (
        "{",
        "[]",
        json.dumps({"statement": {"files": {}}, "signature": "", "key": ""}),
    ):
        (folder / ENVELOPE).write_text(content)
        with pytest.raises(BlobError):
            import_(shop.registry, folder)


# -- thrown away ----------------------------------------------------------------------------------


def test_what_nothing_needs_is_collected_and_the_rest_is_not(shop: Shop) -> None:
    versions = [shop.add(seed) for seed in range(6)]
    for digest in versions[:5]:
        shop.promote(digest)
    orphan = shop.blobs.add(adapter_folder(shop.folder / "orphan", 99)).digest
    shop.clock.advance(days=40)
    young = shop.add(50)
    month = dt.timedelta(days=30)
    planned = shop.registry.collect(actor="ann", older_than=month, grace_s=-1.0, dry_run=True)
    assert shop.blobs.path(orphan).is_dir()
    done = shop.registry.collect(actor="ann", older_than=month, grace_s=-1.0)
    assert planned.versions == done.versions == (1, 2, 6)
    assert done.orphans == (orphan,)
    kept = [*versions[2:5], young]
    assert shop.blobs.digests() == sorted(kept)
    assert [shop.registry.rollback(actor="ann", reason="r").to_digest for _ in range(2)] == [
        versions[3],
        versions[2],
    ]
    with pytest.raises(BlobError, match="were collected"):
        shop.registry.rollback(actor="ann", reason="r")
    assert shop.registry.collect(actor="ann", grace_s=-1.0).freed_bytes == 0


def test_parents_of_what_serves_are_kept(shop: Shop) -> None:
    parent = shop.add(1)
    folder = adapter_folder(shop.folder / "child", 2)
    child = shop.registry.register(folder, base_model="base", parent=parent).digest
    assert child is not None
    shop.registry.promote("staging", child, actor="ann", reason="r")
    shop.clock.advance(days=1)
    assert shop.registry.collect(actor="ann", older_than=dt.timedelta(0)).versions == ()


def test_a_collected_version_is_back_when_it_is_registered_again(shop: Shop) -> None:
    digest = shop.add(1)
    shop.clock.advance(days=1)
    shop.registry.collect(actor="ann", older_than=dt.timedelta(0))
    with pytest.raises(BlobError, match="were collected"):
        shop.promote(digest)
    assert shop.add(1) == digest
    assert shop.promote(digest).to_digest == digest


# -- what fits a base model -----------------------------------------------------------------------


def _base(folder: Path, module: str, shape: list[int]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    row = {"dtype": "F32", "shape": shape, "data_offsets": [0, 4]}
    header = json.dumps({f"{module}.weight": row}).encode()
    path = folder / "model.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0\0\0")
    return folder


def test_an_adapter_fits_the_base_model_whose_modules_it_changes(tmp_path: Path) -> None:
    adapter = adapter_folder(tmp_path / "a")
    check_fit(adapter, _base(tmp_path / "b", "model.layers.0.self_attn.q_proj", [4, 4]))
    with pytest.raises(BlobError, match="does not have"):
        check_fit(adapter, _base(tmp_path / "c", "model.layers.0.mlp.up_proj", [4, 4]))
    with pytest.raises(BlobError, match="map 4 to 4"):
        check_fit(adapter, _base(tmp_path / "d", "model.layers.0.self_attn.q_proj", [8, 4]))
