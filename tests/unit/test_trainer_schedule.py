"""Data order, shares of a batch, micro-batches and weights: pure functions of their input."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.rollouts import grouped_softmax
from trainer.seeds import Shuffled, derive, shares
from trainer.student import micro_batches


def test_any_position_of_the_stream_is_found_without_the_ones_before() -> None:
    whole = Shuffled(range(5), 3).take(0, 23)
    assert sorted(whole[:5]) == sorted(whole[5:10]) == list(range(5))
    assert Shuffled(range(5), 3).take(7, 9) == whole[7:16]
    assert Shuffled(range(5), 4).take(0, 23) != whole
    assert Shuffled([], 1).take(0, 3) == []


def test_seeds_differ_by_use_and_fit_a_generator() -> None:
    found = {derive(1, "sft", i) for i in range(100)} | {derive(2, "sft", 1), derive(1, "x", 1)}
    assert len(found) == 102
    assert all(0 <= seed < 2**63 for seed in found)


@pytest.mark.parametrize(
    ("have", "expected"),
    [
        ((True, True), [12, 4, 8]),
        ((False, True), [16, 0, 8]),
        ((True, False), [20, 4, 0]),
        ((False, False), [24, 0, 0]),
    ],
)
def test_a_source_that_is_missing_leaves_its_share_to_the_edits(have, expected) -> None:
    assert shares(24, 1 / 6, 1 / 3, have=have) == expected


@given(st.lists(st.integers(1, 500), min_size=1, max_size=60), st.integers(1, 2000))
def test_micro_batches_hold_every_row_once_within_the_budget(lengths, most) -> None:
    batches = micro_batches(lengths, most)
    assert sorted(i for b in batches for i in b) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) == 1 or max(lengths[i] for i in batch) * len(batch) <= most


def test_weights_are_a_softmax_within_each_prompt_however_the_rollouts_are_ordered() -> None:
    keys, scores = [7, 3, 7, 3, 3], [-1.0, -2.0, -1.0, -2.0, -50.0]
    weights = grouped_softmax(keys, scores)
    assert weights == pytest.approx([1, 1.5, 1, 1.5, 0], abs=1e-9)
    back = grouped_softmax(keys[::-1], scores[::-1])
    assert back[::-1] == pytest.approx(weights)
