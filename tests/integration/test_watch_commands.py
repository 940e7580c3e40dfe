"""The watch at the command line against the local Wikidata: lists, catching up, explaining."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.demo.wikidata.scenario import Scenario, build_scenario
from knowledge.world import LEGACY_DATE, World
from tests.local_wikidata_server import LocalServer

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    return build_scenario(World.load(), "it", successions=4, noise=60)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, scenario: Scenario) -> Iterator[LocalServer]:
    made = LocalServer(tmp_path_factory.mktemp("clock"), "--successions", "4", "--noise", "60")
    made.set_clock(scenario.end)
    yield made
    made.stop()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, server: LocalServer) -> Path:
    folder = tmp_path_factory.mktemp("home")
    (folder / "almanac.toml").write_text(
        f"""
home = "{folder}/var"
[wikidata]
api_url = "{server.url}/w/api.php"
stream_url = "{server.url}/v2/stream/mediawiki.page_change.v1"
sparql_url = "{server.url}/sparql"
wikipedia_url = "{server.url}/wikipedia/w/api.php"
[clock]
kind = "file"
path = "{server.clock_file}"
"""
    )
    return folder


def almanac(home: Path, *arguments: str, fails: bool = False) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "daemon", "--config", str(home / "almanac.toml"), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        env={k: v for k, v in os.environ.items() if not k.startswith("ALMANAC_")},
    )
    assert (done.returncode != 0) is fails, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_subjects_come_from_a_file_or_a_query_and_all_changes_since_a_day_are_found(
    home: Path, scenario: Scenario
) -> None:
    subjects = sorted({slot.split(":")[0] for slot in scenario.expected})
    listed = home / "items.csv"
    listed.write_text("item,name\n" + "".join(f"http://x/entity/{s},name\n" for s in subjects))
    found = json.loads(almanac(home, "watch", "import", str(listed), "--json"))
    assert found == {"found": len(subjects), "added": len(subjects)}
    query = "SELECT ?item { ?item <http://www.wikidata.org/prop/P6> ?statement } ORDER BY ?item"
    found = json.loads(almanac(home, "watch", "import", "--sparql", query, "--json"))
    assert found["found"] > 3
    assert "nothing was added" in almanac(home, "watch", "import", os.devnull, fails=True)
    day = (scenario.start - dt.timedelta(days=1)).date().isoformat()
    then = LEGACY_DATE.isoformat()
    told = json.loads(almanac(home, "watch", "catch-up", "--since", then, "--json"))
    assert told["items"] >= len(subjects)
    assert told["changes"]["settled"] >= len(scenario.expected)
    again = json.loads(almanac(home, "watch", "replay", "--from", day, "--json"))
    assert again["marked"] == 0  # everything was looked at


def test_the_reasoning_on_an_item_that_is_not_watched(home: Path, scenario: Scenario) -> None:
    slot = next(iter(scenario.expected))
    subject, property_id = slot.split(":")
    day = scenario.start.date().isoformat()
    told = almanac(home, "classify", "--explain", subject, property_id, "--since", day)
    old, new = scenario.expected[slot]
    assert f"{old} -> {new}" in told and ("succession" in told or "late_entry" in told)
    assert "catalogue" in almanac(home, "classify", subject, "P31", fails=True)


def test_days_to_come_and_other_rubbish_are_refused(home: Path) -> None:
    for command in (
        ("watch", "replay", "--from", "2099-01-01"),
        ("watch", "catch-up", "--since", "2099-01-01"),
        ("classify", "Q1", "--since", "2099-01-01"),
    ):
        assert "still to come" in almanac(home, *command, fails=True)
    assert "write a day as" in almanac(home, "watch", "replay", "--from", "tomorrow", fails=True)
    assert "no item id" in almanac(home, "classify", "q60", fails=True)
    decide = ("watch", "decide-run", "nope", "--release", "--reason", "known import")
    assert "no bulk run" in almanac(home, *decide, fails=True)


def test_what_never_ran_and_what_did_not_change_is_said(home: Path, scenario: Scenario) -> None:
    assert "never" in almanac(home, "watch", "lag")
    assert json.loads(almanac(home, "watch", "runs", "--json")) == []
    slot = next(iter(scenario.expected))
    told = almanac(home, "classify", "--explain", slot.split(":")[0], "P348")
    assert "P348 software version identifier: nothing, unchanged" in told
