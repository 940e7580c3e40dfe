"""Workers killed in the middle of their work, and promoters that race: a small part of
bench-gateway."""

from __future__ import annotations

from daemon.bench.crashing import kill_many, race


def test_killed_workers_break_no_promise() -> None:
    damage = kill_many(8, "a small one")
    assert sum(damage.kills.values()) == 8
    assert (damage.broken, damage.worker_errors, damage.left_over) == ([], [], 0)


def test_of_many_promoters_one_wins_each_generation() -> None:
    assert race(8, 2) == [1, 1]
