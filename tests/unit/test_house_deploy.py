"""What is deployed, checked by what runs without its engine: unit, compose, alerts, dashboard."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from agents.ledger import Cursor
from agents.loopback import is_loopback
from daemon import config
from daemon.config import Settings
from daemon.sections import UpstreamKind, WebSettings
from daemon.services import Services
from daemon.serving.vllm import RANKS
from daemon.upkeep.degraded import Degraded
from daemon.upkeep.metrics import ServiceCollector
from daemon.web.security import check_binding
from tests.daemon_support import settings_at
from tests.databases import url_for

NOW = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)
NAME = re.compile(r"almanac_[a-z_]+")
ROLES = ("worker", "web", "gateway")
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


@pytest.fixture
def compose(root: Path) -> dict[str, Any]:
    """The services, with the variables of the example's `.env` put in."""
    text = (root / "deploy/compose/compose.yaml").read_text()
    text = re.sub(r"\$\{[A-Z_]+:\?[^}]*\}", "given@example.org", text)
    return yaml.safe_load(re.sub(r"\$\{[A-Z_]+:-([^}]*)\}", r"\1", text))["services"]


def settings_of(
    compose: dict[str, Any], role: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """What the settings are in the container of a role."""
    with monkeypatch.context() as inside:
        for name, value in compose[role]["environment"].items():
            if value is not None and name.startswith("ALMANAC_") and name != "ALMANAC_CONFIG":
                inside.setenv(name, value)
        return config.load(root / "deploy/compose/almanac.toml", []).settings


def test_the_containers_listen_where_they_are_asked(
    root: Path, compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    roles = {role: settings_of(compose, role, root, monkeypatch) for role in ROLES}
    for settings in roles.values():
        settings.require_contact()
    scraped = yaml.safe_load((root / "deploy/prometheus/prometheus.yaml").read_text())
    targets = scraped["scrape_configs"][0]["static_configs"][0]["targets"]
    health = {role: roles[role].health for role in ("worker", "web")}
    gateway, web = roles["gateway"].gateway, roles["web"].web
    assert sorted(targets) == sorted(
        [*(f"{role}:{at.port}" for role, at in health.items()), f"gateway:{gateway.port}"]
    )
    reached = [*(at.host for at in health.values()), gateway.host, web.host]
    assert not any(is_loopback(host) for host in reached)
    check_binding(roles["web"], accounts=True)
    check_binding(roles["worker"], accounts=False)
    for role in ROLES:
        port = gateway.port if role == "gateway" else health[role].port
        asked = compose[role]["environment"]["HEALTHCHECK_URL"]
        assert asked == f"http://127.0.0.1:{port}/healthz"
    published = {role: compose[role].get("ports", []) for role in ROLES}
    assert published == {
        "worker": [],
        "web": [],
        "gateway": [f"127.0.0.1:{gateway.port}:{gateway.port}"],
    }
    proxy = compose["tls"]["command"]
    assert proxy[-1] == f"web:{web.port}" and proxy[-3] in web.hosts


def test_the_image_asks_a_whole_service_for_its_health(root: Path) -> None:
    text = (root / "deploy/container/Containerfile").read_text()
    assert f"HEALTHCHECK_URL=http://127.0.0.1:{WebSettings().port}/healthz" in text
    assert "os.environ['HEALTHCHECK_URL']" in text


def tables(recipe: dict[str, Any]) -> list[dict[str, Any]]:
    return [recipe, *(table for table in recipe.values() if isinstance(table, dict))]


def test_vllm_is_reached_by_the_gateway_alone(
    root: Path, compose: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    vllm = compose["vllm"]
    assert vllm["network_mode"] == "service:gateway" and not vllm.get("ports")
    gateway = settings_of(compose, "gateway", root, monkeypatch).gateway
    address = urlsplit(gateway.vllm_url)
    assert f"--host={address.hostname}" in vllm["command"]
    assert f"--port={address.port}" in vllm["command"]
    assert f"--max-loras={gateway.adapters}" in vllm["command"]
    recipes = [tomllib.loads(p.read_text()) for p in (root / "trainer/recipes").glob("*.toml")]
    ranks = [table["rank"] for recipe in recipes for table in tables(recipe) if "rank" in table]
    assert f"--max-lora-rank={max(ranks)}" in vllm["command"] and max(ranks) in RANKS
    example = (root / "deploy/compose/.env.example").read_text()
    for name in ("ALMANAC_MODEL__BASE", "ALMANAC_GATEWAY__UPSTREAM"):
        assert compose["gateway"]["environment"][name] is None, "from .env, or not at all"
        line = re.search(rf"^#({name}=.*)$", example, re.MULTILINE)
        assert line is not None
        monkeypatch.setenv(*line[1].split("="))
    settings = settings_of(compose, "gateway", root, monkeypatch)
    assert settings.gateway.upstream is UpstreamKind.VLLM
    mounted = next(v for v in vllm["volumes"] if v.startswith("home:")).split(":")[1]
    assert Path(settings.model.base).is_relative_to(mounted)


def test_every_variable_of_compose_is_in_its_example(root: Path) -> None:
    text = (root / "deploy/compose/compose.yaml").read_text()
    example = (root / "deploy/compose/.env.example").read_text()
    named = set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE))
    assert set(re.findall(r"\$\{([A-Z_]+)", text)) <= named


def test_an_image_holds_no_history_no_home_and_no_secrets(root: Path) -> None:
    left_out = set((root / ".dockerignore").read_text().split())
    assert {".git", ".venv", "/var", "/build", "/almanac.toml", "**/.env"} <= left_out


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
