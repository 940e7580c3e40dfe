"""What is deployed, checked by what runs without its engine: unit, compose, alerts, dashboard."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from agents.ledger import Cursor
from daemon.services import Services
from daemon.upkeep.degraded import Degraded
from daemon.upkeep.metrics import ServiceCollector
from tests.daemon_support import settings_at
from tests.databases import url_for

NOW = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
NAME = re.compile(r"almanac_[a-z_]+")
COUNTERS = {"almanac_steps_total", "almanac_schedule_runs_total"}


@pytest.fixture(scope="module")
def alerts(root: Path) -> list[dict[str, str]]:
    rules = yaml.safe_load((root / "deploy/prometheus/alerts.yaml").read_text())
    return rules["groups"][0]["rules"]


def told_by_the_service(folder: Path) -> set[str]:
    with Services.open(settings_at(folder, url_for("sqlite", folder))) as services:
        services.backups.create()
        told = Cursor(stream="audit", event_id='{"checked": 20, "missed": {}}', event_time=NOW)
        asyncio.run(services.ledger.mark([], told))
        return {metric.name for metric in ServiceCollector(services, Degraded()).collect()}


def test_alerts_and_dashboard_ask_for_metrics_that_exist(
    root: Path, alerts: list[dict[str, str]], tmp_path: Path
) -> None:
    dashboard = json.loads((root / "deploy/grafana/almanac.json").read_text())
    asked = {target["expr"] for panel in dashboard["panels"] for target in panel["targets"]}
    asked |= {rule["expr"] for rule in alerts}
    names = {name for text in asked for name in NAME.findall(text)}
    assert names <= told_by_the_service(tmp_path) | COUNTERS


def test_each_alert_has_its_chapter(root: Path, alerts: list[dict[str, str]]) -> None:
    runbook = (root / "deploy/RUNBOOK.md").read_text()
    names = [rule["alert"] for rule in alerts]
    assert len(set(names)) == len(names) > 10
    chapters = re.findall(r"^## (Almanac\w+)$", runbook, re.MULTILINE)
    assert chapters == names


def test_the_compose_file_shares_one_database_and_no_root(root: Path) -> None:
    compose = yaml.safe_load((root / "deploy/compose/compose.yaml").read_text())
    for name in ("worker", "web", "gateway"):
        service = compose["services"][name]
        assert service["read_only"] and service["user"] == "10001:10001"
        assert service["environment"]["ALMANAC_DATABASE__URL"].startswith("postgresql://")
        assert service["command"][-1] == name
    assert "USER 10001" in (root / "deploy/container/Containerfile").read_text()


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze here")
def test_the_unit_is_sound_and_confined(root: Path, tmp_path: Path) -> None:
    text = (root / "deploy/systemd/almanac.service").read_text()
    assert "Type=notify" in text and "WatchdogSec=" in text
    unit = tmp_path / "almanac.service"
    unit.write_text(text.replace("/opt/almanac/.venv/bin/almanac", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60
    )
    assert "Unknown" not in done.stderr and done.returncode == 0, done.stderr
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout[-500:]
