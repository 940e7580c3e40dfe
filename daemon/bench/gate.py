"""The gate, measured: sabotaged and good adapters, too little evidence, and its error rates.

Owns the list of rows of `make bench-gate`. Adapters are trained where they are missing, some hours
on two cores for all of them, and kept; `TRAINED_ONLY=1` skips those that are not there.
"""

from __future__ import annotations

import os

from daemon.bench.gate_adapters import adapter_rows, skipped_adapter_rows
from daemon.bench.gate_evidence import evidence_rows
from daemon.bench.gate_report import report_rows
from daemon.bench.gate_simulation import simulation_rows
from daemon.bench.rows import Row

DRAWS = 10_000
QUICK_DRAWS = 200


def measure(quick: bool) -> list[Row]:
    """All rows. `quick` trains nothing and draws few releases."""
    trained_only = os.environ.get("TRAINED_ONLY", "") not in ("", "0")
    judged = skipped_adapter_rows("quick") if quick else adapter_rows(trained_only=trained_only)
    return [
        *judged,
        *evidence_rows(),
        *simulation_rows(QUICK_DRAWS if quick else DRAWS),
        *report_rows(),
    ]
