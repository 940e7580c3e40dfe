"""The service stopped while it watches, drafts and is reviewed: what is left is a whole play's."""

from __future__ import annotations

import pytest

from daemon.bench.service_stop import stop_rows

pytestmark = pytest.mark.long


def test_stopped_at_work_it_loses_nothing() -> None:
    rows = stop_rows(quick=True)
    assert [row for row in rows if row.value is not None and not row.holds] == []
    assert sum(row.value is not None for row in rows) >= 3, "met in at least one stage"
