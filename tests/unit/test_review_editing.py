"""An edit is a new version: verified by the rules, told by words, never over somebody else's."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.errors import Conflict
from daemon.review.editing import Edit
from daemon.review.worddiff import Side, word_diff
from daemon.services import Services
from knowledge.narrative import ClaimKind
from knowledge.questions import QuestionKind
from tests.review_support import digest_of, opened


@pytest.fixture
def services(tmp_path: Path):
    with opened(tmp_path, 3) as services:
        yield services


def claims(services: Services, change: int) -> dict[ClaimKind, str]:
    unit = services.review.show(change).unit
    assert unit is not None and unit.narrative is not None
    return {claim.kind: claim.text for claim in unit.narrative.claims}


def test_an_edit_in_known_words_stays_clean_and_keeps_the_old_version(services: Services) -> None:
    before = claims(services, 1)
    text = before[ClaimKind.NEW].rstrip(".") + " now."
    digest = services.review.edit(
        1, digest_of(services, 1), Edit(claims={ClaimKind.NEW: text}), actor="ann"
    )
    detail = services.review.show(1)
    assert detail.item.digest == digest and detail.item.version == 2
    assert detail.item.clean, detail.findings
    assert claims(services, 1) == {**before, ClaimKind.NEW: text}
    assert [d.author for d in detail.drafts] == ["template/1", "ann"]
    old = detail.drafts[0].unit.narrative
    assert old is not None and old.claim(ClaimKind.NEW).text == before[ClaimKind.NEW]
    assert detail.unit and detail.unit.narrative and text in detail.unit.narrative.prose


def test_the_rules_object_to_what_no_evidence_says(services: Services) -> None:
    text = "A meteorite hit the parliament on 3 May 1999."
    services.review.edit(
        1, digest_of(services, 1), Edit(claims={ClaimKind.CAUSE: text}, cause=""), actor="ann"
    )
    detail = services.review.show(1)
    assert not detail.item.clean
    assert any(finding["claim"] == "cause" for finding in detail.findings)


def test_two_edits_of_one_draft_conflict(services: Services) -> None:
    read = digest_of(services, 1)
    new = claims(services, 1)[ClaimKind.NEW]
    services.review.edit(1, read, Edit(claims={ClaimKind.NEW: new + " "}), actor="ann")
    text = new.rstrip(".") + " now."
    services.review.edit(2, digest_of(services, 2), Edit(claims={}), actor="ann")
    second = Edit(claims={ClaimKind.NEW: text})
    with pytest.raises(Conflict, match="read it again"):
        services.review.edit(1, read, second, actor="bob")
    assert len(services.review.show(1).drafts) == 2


def test_an_approval_of_the_draft_before_the_edit_is_stale(services: Services) -> None:
    read = digest_of(services, 1)
    text = claims(services, 1)[ClaimKind.NEW].rstrip(".") + " now."
    services.review.edit(1, read, Edit(claims={ClaimKind.NEW: text}), actor="ann")
    with pytest.raises(Conflict, match="version 2"):
        services.review.approve(1, read, actor="bob")


def test_an_empty_or_endless_sentence_is_refused(services: Services) -> None:
    for text in ("   ", "long " * 1000):
        with pytest.raises(Conflict, match="sentence about the new"):
            services.review.edit(
                1, digest_of(services, 1), Edit(claims={ClaimKind.NEW: text}), actor="ann"
            )


def test_another_cause_is_told_by_the_answers(services: Services) -> None:
    detail = services.review.show(1)
    assert detail.unit is not None
    text = "The reason was resignation."
    services.review.edit(
        1,
        digest_of(services, 1),
        Edit(claims={ClaimKind.CAUSE: text}, cause="resignation"),
        actor="ann",
    )
    unit = services.review.show(1).unit
    assert unit is not None
    whys = [q for q in unit.questions if q.kind is QuestionKind.WHY]
    assert whys and all("resignation" in q.reference for q in whys)
    assert [q.text for q in unit.questions] == [q.text for q in detail.unit.questions]


def test_the_word_diff_is_both_texts() -> None:
    old, new = "Dorin Recean was prime minister until May.", "Recean was the head until 5 May."
    runs = word_diff(old, new)
    assert "".join(r.text for r in runs if r.side is not Side.NEW) == old
    assert "".join(r.text for r in runs if r.side is not Side.GONE) == new
    assert any(r.side is Side.SAME and "until" in r.text for r in runs)
    assert word_diff("same", "same") == (word_diff("same", "same")[0],)
    assert [r.side for r in word_diff("a " * 5000, "b " * 5000)] == [Side.GONE, Side.NEW]
