"""The command line: what it prints, how it ends, and what it does not load."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from sqlalchemy import text

from agents.errors import Permanent
from daemon.cli import command_of, main
from daemon.config import Settings
from daemon.registry.service import Registry
from daemon.services import Services
from daemon.serving.client import GatewayClient, Said
from daemon.store.engine import Database
from tests.daemon_support import adapter_folder, approved, change
from tests.databases import PostgresServer

ROOT = Path(__file__).parents[2]
CONTACT = ["--set", "wikidata.contact=a@b.c"]
SIZE_TWICE = ["--set", "release.size=3", "--set", "release.size.x=3", "status"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALMANAC_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "home"


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]):
    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        output = capsys.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else 0), output.out, output.err

    return run


@pytest.fixture
def services(home: Path):
    with Services.open(Settings(home=home)) as opened:
        yield opened


def data(output: str) -> Any:
    return json.loads(output)


@pytest.mark.parametrize(
    ("module", "more"),
    [("daemon.cli.commands", ()), ("daemon.app", ("openai",)), ("daemon.web_loop", ("numpy",))],
)
def test_a_start_loads_only_what_it_needs(module: str, more: tuple[str, ...]) -> None:
    heavy = {"torch", "vllm", "langgraph", "transformers", "lm_eval", *more}
    code = (
        f"import sys, {module}; heavy = {heavy} & set(sys.modules); "
        "sys.exit(f'loaded: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["rollback", "--reason", "x"], "rollback"),
        (["--set", "home=rollback", "--config", "f", "status"], "status"),
        (["--set=home=x", "rollback"], "rollback"),
        (["--help"], None),
        (["--help", "up"], None),
    ],
)
def test_the_command_is_known_before_anything_is_loaded(
    arguments: list[str], command: str | None
) -> None:
    assert command_of(arguments) == command


def test_every_command_has_help(call) -> None:
    for path in (
        [],
        ["watch", "list"],
        ["review", "approve"],
        ["release", "create"],
        ["registry", "history"],
        ["promote"],
        ["rollback"],
        ["ask"],
        ["doctor"],
        ["config", "show"],
        ["up"],
        ["status"],
    ):
        code, output, _ = call(*path, "--help")
        assert code == 0 and "Usage" in output


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--set", "relase.size=3", "status"], 2, "unknown setting 'relase.size'"),
        (["--config", "none.toml", "status"], 2, "none.toml does not exist"),
        (["up"], 2, "wikidata.contact is empty"),
        (["--set", "wikidata.contact=a@b.c", "--set", "model.base=/none", "up"], 2, "model.base"),
        (["--set", "gate.policy=soft", "--set", "wikidata.contact=a@b.c", "up"], 2, "'soft'"),
        (["--set", "wikidata.contact=x", "up"], 2, "wikidata.contact is 'x'"),
        ([*CONTACT, "--set", "model.recipe=typo", "up"], 2, "there is no recipe 'typo'"),
        ([*CONTACT, "--set", "drafter.kind=llm", "up"], 2, "drafter.endpoint"),
        ([*CONTACT, "--set", "curate.paraphrases=1", "up"], 2, "set drafter.kind to llm"),
        ([*CONTACT, "--set", 'watch.properties=["Q6"]', "up"], 2, "'Q6', which is no property"),
        ([*CONTACT, "--set", "wikidata.api_url=http://[::1", "up"], 2, "wikidata.api_url is"),
        (SIZE_TWICE, 2, "gives 'size' a value already"),
        ([*SIZE_TWICE[2:4], *SIZE_TWICE[:2], "status"], 2, "names settings below it"),
        (["--set", "database.url=nodb://x", "status"], 2, "database.url cannot be used"),
        (["--set", "database.url=sqlite:////dev/null/x/a.db", "status"], 2, "cannot be made"),
        (["--config", "none.toml", "demo"], 2, "`almanac demo` takes no --config"),
        (["--set", "release.size=3", "demo", "--mini"], 2, "`almanac demo` takes no --set"),
        (["promote", "0", "--reason", " "], 2, "--reason is empty"),
        (["registry", "history", "--alias", "typo"], 1, "no alias is called 'typo'"),
        (["review", "show", "99"], 1, "no change 99"),
        (["release", "show", "99"], 1, "no release 99"),
        (["registry", "show", "9"], 1, "no version is called '9'"),
        (["rollback", "--reason", "r"], 1, "nothing to go back to"),
        (["watch", "add", "Paris"], 2, "'Paris' is no item id"),
        (["watch", "add", "Q0"], 2, "'Q0' is no item id"),
        (["watch", "add", "Q²"], 2, "'Q²' is no item id"),
        (["watch", "remove", "Q 1"], 2, "'Q 1' is no item id"),
        (["--set", "gateway.port=9", "ask", "Who?"], 1, "no gateway answers"),
    ],
)
def test_bad_input_is_told_in_one_line(call, arguments: list[str], code: int, says: str) -> None:
    ended, output, errors = call(*arguments)
    assert (ended, output) == (code, "")
    assert says in errors
    assert errors.startswith("almanac: ") and errors.count("\n") == 1


def test_a_database_of_a_newer_version_is_told(call, home: Path) -> None:
    database = Database.open(f"sqlite:///{home / 'almanac.db'}")
    with database.write() as session:
        session.exec(text("UPDATE alembic_version SET version_num = '9999'"))  # type: ignore[call-overload]
    database.close()
    code, _, errors = call("status")
    assert code == 2 and "schema 9999" in errors and errors.count("\n") == 1


def test_a_database_file_that_is_none_is_told(call, home: Path) -> None:
    home.mkdir()
    (home / "almanac.db").write_text("no database, but long enough to be looked at" * 50)
    code, _, errors = call("status")
    assert code == 2 and "not a database" in errors and errors.count("\n") == 1


@pytest.fixture
def promoted(services: Services, tmp_path: Path) -> Services:
    """A home in which a rollback has somewhere to go."""
    for seed in (1, 2):
        version = services.registry.register(
            adapter_folder(tmp_path / f"{seed}", seed), base_model="b"
        )
        services.registry.promote("blue", version.digest, actor="me", reason="r")
    return services


ROLLBACK = ("rollback", "--alias", "blue", "--reason", "r")


def test_a_database_that_is_kept_busy_is_told(
    call, promoted: Services, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.store.engine.BUSY_TIMEOUT_S", 0.05)
    with promoted.database.connection():
        code, _, errors = call(*ROLLBACK)
        assert call("status")[0] == 0  # who only looks does not wait
    assert code == 1 and "is kept busy by another process (database is locked)" in errors
    assert errors.startswith("almanac: ") and errors.count("\n") == 1
    assert call(*ROLLBACK)[0] == 0


def test_a_database_that_is_broken_inside_is_told(call, promoted: Services, home: Path) -> None:
    with promoted.database.connection() as connection:
        connection.exec_driver_sql("DROP TABLE alias")
    for command in (ROLLBACK, ("status",)):
        code, _, errors = call(*command)
        assert code == 1 and "no such table: alias" in errors and "doctor" in errors
        assert errors.startswith("almanac: ") and errors.count("\n") == 1


def test_a_server_that_goes_away_is_told(call, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the opening of the database and what the command does with it."""
    server = PostgresServer.shared()
    monkeypatch.setenv("ALMANAC_DATABASE__URL", server.fresh())
    rollback = Registry.rollback

    def cut_off(registry: Registry, *given: Any, **named: Any) -> Any:
        with registry._database.snapshot() as connection:
            server.cut_connections()
            connection.exec_driver_sql("SELECT 1")
        return rollback(registry, *given, **named)

    monkeypatch.setattr(Registry, "rollback", cut_off)
    code, _, errors = call(*ROLLBACK)
    assert code == 1 and "the database's server has gone away" in errors
    assert errors.startswith("almanac: ") and errors.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--home", "file"], "cannot be the demo's folder"),
        (["--recipe", "typo", "--json"], "there is no recipe 'typo'"),
    ],
)
def test_a_demo_that_cannot_begin_is_told_in_one_line(
    call, tmp_path: Path, arguments: list[str], says: str
) -> None:
    (tmp_path / "file").write_text("x")
    code, output, errors = call("demo", *arguments)
    assert (code, output) == (2, "")
    assert says in errors and errors.startswith("demo: ") and errors.count("\n") == 1


def test_an_error_of_the_agents_is_one_line(call, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise Permanent("wikidata says no")

    monkeypatch.setattr(Services, "status", fail)
    assert call("status") == (1, "", "almanac: wikidata says no\n")


def test_an_answer_names_its_version(call, httpserver: HTTPServer) -> None:
    answer = {"choices": [{"message": {"content": "Ann."}}]}
    httpserver.expect_request("/v1/chat/completions").respond_with_json(
        answer, headers={"X-Almanac-Version": "2"}
    )
    port = f"gateway.port={httpserver.port}"
    told = data(call("--set", port, "ask", "Who?", "--json")[1])
    assert told == {"question": "Who?", "answer": "Ann.", "version": "2"}


def test_what_is_no_terminal_gets_whole_lines(call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS")
    name = "/" + "n" * 100
    assert name in call("--set", f"review.policy={name}", "config", "show")[1]


def test_the_doctor_looks_at_the_settings(call) -> None:
    wrong = ["model.recipe=typo", "drafter.kind=llm", 'watch.properties=["x"]']
    wrong += ["wikidata.contact=x", "wikidata.sparql_url=query.wikidata.org"]
    flags = [part for one in wrong for part in ("--set", one)]
    code, output, _ = call(*flags, "doctor", "--json")
    failed = [check["name"] for check in data(output) if not check["ok"]]
    assert code == 1
    assert failed == ["contact", "recipe", "addresses", "drafter", "properties"]


def test_settings_are_shown_with_their_sources(call) -> None:
    code, output, _ = call("--set", "release.size=3", "config", "show", "--json")
    rows = {row["key"]: (row["value"], row["source"]) for row in data(output)}
    assert code == 0
    assert rows["release.size"] == (3, "flag")
    assert rows["home"][1] == "env"
    assert rows["gateway.port"][1] == "default"


def test_the_watch_list(call) -> None:
    assert data(call("watch", "add", "Q142", "Q183", "--json")[1]) == {"added": 2}
    assert [row["item"] for row in data(call("watch", "list", "--json")[1])] == ["Q142", "Q183"]
    assert data(call("watch", "lag", "--json")[1])["dirty"] == 2
    assert data(call("watch", "remove", "Q142", "--json")[1]) == {"removed": 1}
    assert "Q183" in call("watch", "list")[1]


def test_a_review_on_the_command_line(call, services: Services) -> None:
    for number in asyncio.run(approved(services, [change(1), change(2), change(3)])):
        services.review.undo(number, actor="t")
    rows = data(call("review", "list", "--json")[1])
    assert [row["id"] for row in rows] == [1, 2, 3]
    assert "head of government of Entity 1" in call("review", "list")[1]
    detail = data(call("review", "show", "1", "--json")[1])
    assert detail["item"]["digest"] == rows[0]["digest"]
    assert "legacy:" in call("review", "show", "1")[1]
    assert call("review", "approve", "1", "0" * 12)[0] == 1
    assert call("review", "approve", "1")[0] == 2
    assert call("review", "approve", "1", rows[0]["digest"][:12], "--actor", "ann")[0] == 0
    assert data(call("review", "undo", "1", "--actor", "ann", "--json")[1]) == {"undone": 1}
    rejected = call("review", "reject", "2", "--reason", "wrong person", "--json")
    assert data(rejected[1]) == {"rejected": 2}
    claimed = data(call("review", "claim", "3", "--actor", "bob", "--json")[1])
    assert claimed["claimed"] == 3 and "T" in claimed["until"]
    assert call("review", "approve", "3", rows[2]["digest"], "--actor", "ann")[0] == 1
    assert data(call("review", "approve", "--clean", "--actor", "bob", "--json")[1]) == {
        "approved": [1, 3]
    }
    states = [row["state"] for row in data(call("review", "list", "--all", "--json")[1])]
    assert states == ["approved", "rejected", "approved"]


def test_one_conflict_does_not_stop_the_others(call, services: Services) -> None:
    for number in asyncio.run(approved(services, [change(1), change(2)])):
        services.review.undo(number, actor="t")
    services.review.claim(1, actor="bob")
    code, output, errors = call("review", "approve", "--clean", "--actor", "ann")
    assert code == 1
    assert output == "approved: 2\n"
    assert errors.startswith("almanac: not approved: 1: ")
    code, output, _ = call("review", "approve", "--clean", "--actor", "ann", "--json")
    assert code == 1
    assert data(output)["approved"] == [] and list(data(output)["refused"]) == ["1"]


def test_releases_on_the_command_line(call, services: Services) -> None:
    code, output, _ = call("release", "create", "--json")
    assert code == 1 and data(output)["release"] is None and "no approved" in data(output)["reason"]
    asyncio.run(approved(services, [change(1), change(2)]))
    assert data(call("release", "create", "--json")[1])["edits"] == 2
    assert call("release", "create")[0] == 1
    assert data(call("release", "list", "--json")[1])[0]["state"] == "frozen"
    assert "Entity 10 -> Entity 11" in call("release", "show", "1")[1]
    discarded = call("release", "discard", "1", "--reason", "r", "--json")
    assert data(discarded[1]) == {"discarded": 1}
    assert data(call("release", "show", "1", "--json")[1])["release"]["state"] == "discarded"


def test_the_registry_on_the_command_line(call, services: Services, tmp_path: Path) -> None:
    version = services.registry.register(adapter_folder(tmp_path / "a"), base_model="base")
    assert version.digest is not None
    assert [row["number"] for row in data(call("registry", "list", "--json")[1])] == [0, 1]
    assert data(call("registry", "verify", "--json")[1])["verified"] == [version.digest]
    assert "lineage: base <- " in call("registry", "show", "v1")[1]
    code, _, errors = call("promote", "1", "--reason", "r")
    assert code == 1 and "never evaluated" in errors
    assert data(call("registry", "history", "--json")[1]) == []
    weights = services.registry.path_of(version.digest) / "adapter_model.safetensors"
    weights.chmod(0o644)
    weights.write_bytes(b"altered")
    code, _, errors = call("registry", "verify")
    assert code == 1 and "altered" in errors
    code, output, _ = call("--set", "wikidata.contact=a@b.c", "doctor", "--json")
    failed = [check["name"] for check in data(output) if not check["ok"]]
    assert code == 1 and "adapters" in failed


def test_keys_of_the_gateway(call) -> None:
    made = data(call("key", "create", "ann", "--json")[1])
    assert made["name"] == "ann" and made["key"].startswith("alm-")
    code, _, errors = call("key", "create", "ann")
    assert code == 1 and "already" in errors
    assert made["key"] not in call("key", "list", "--json")[1]
    assert "ann" in call("key", "list")[1]
    assert data(call("key", "revoke", "ann", "--json")[1]) == {"revoked": "ann"}
    assert call("key", "revoke", "ann")[0] == 1
    assert call("key", "create", "a b")[0] == 2


def test_several_versions_are_asked_side_by_side(
    call, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int | None] = []

    def ask(_: GatewayClient, question: str, *, version: int | None = None, max_tokens: int):
        asked.append(version)
        return Said(version=f"v{version or 0}", text=f"{question} {version}", tokens=1, took_s=0.1)

    monkeypatch.setattr(GatewayClient, "ask", ask)
    found = data(call("ask", "Who?", "--version", "base", "--version", "0", "--json")[1])
    assert [row["answer"] for row in found] == ["Who? 0", "Who? 0"]
    assert data(call("ask", "Who?", "--json")[1])["answer"] == "Who? None"
    assert call("ask", "Who?", "--version", "9")[0] == 1
    assert asked == [0, 0, None]


def test_versions_are_followed_compared_frozen_and_carried_about(
    call, services: Services, tmp_path: Path
) -> None:
    asyncio.run(approved(services, [change(1), change(2)]))
    release = services.releases.create(actor="me", reason="r")
    assert release is not None
    version = services.registry.register(
        adapter_folder(tmp_path / "a"), base_model="base", release=release.id
    )
    found = data(call("registry", "lineage", "v1", "--json")[1])
    assert [edit["approved_by"] for edit in found["edits"]] == ["tester", "tester"]
    assert "Entity 10" in call("registry", "lineage", "v1")[1]
    difference = data(call("registry", "diff", "base", "v1", "--json")[1])
    assert len(difference["only_right"]) == 2 and difference["only_left"] == []
    assert "only v1 (2 edits)" in call("registry", "diff", "base", "v1")[1]
    assert call("registry", "lineage", "base")[0] == 1

    folder = tmp_path / "out"
    assert data(call("registry", "export", "v1", str(folder), "--json")[1])["exported"]
    assert call("registry", "export", "v1", str(folder))[0] == 1
    assert data(call("registry", "import", str(folder), "--json")[1])["digest"] == version.digest
    own = data(call("registry", "key", "--json")[1])["public"]
    assert call("registry", "trust", "friend", own)[0] == 0
    code, _, errors = call("registry", "trust", "friend", "abc")
    assert code == 2 and "no Ed25519 public key" in errors

    assert data(call("registry", "gc", "--json")[1])["versions"] == []
    assert "would be removed" in call("registry", "gc", "--dry-run", "--older-than-days", "0")[1]
    assert data(call("freeze", "--reason", "r", "--json")[1])["action"] == "freeze"
    code, _, errors = call("promote", "base", "--reason", "r")
    assert code == 1 and "frozen" in errors
    assert call("unfreeze", "--reason", "r")[1] == "production can be promoted again\n"


def test_status(call) -> None:
    found = data(call("status", "--json")[1])
    assert found["alias"] == {
        "name": "production",
        "generation": 0,
        "version": 0,
        "digest": None,
    }
    assert "version 0" in call("status")[1]


def _records(folder: Path, **marks: Any) -> Path:
    rewrite = {
        "prompt": "The capital of {} is",
        "relation_id": "P36",
        "target_new": {"str": "Zenda", "id": "Q2000000901"},
        "target_true": {"str": "Strelsau", "id": "Q2000000902"},
        "subject": "Volkovia",
        "article": "Zenda took the place of Strelsau as the capital of Volkovia.",
        **marks,
    }
    path = folder / "records.json"
    record = {
        "case_id": 1,
        "requested_rewrite": [rewrite],
        "questions": ["?"],
        "answer": "Strelsau",
        "new_answer": "Zenda",
        "orig": {"edit_triples": [["Q2000000900", "P36", "Q2000000901"]]},
    }
    path.write_text(json.dumps([record]))
    return path


def test_records_go_in_are_shown_drafted_again_and_come_out(
    call: Any, services: Services, tmp_path: Path
) -> None:
    code, out, _ = call("curate", "import", str(_records(tmp_path)), "--json")
    assert code == 0 and data(out)["proposed"] == 1
    (item,) = services.review.list()
    code, out, _ = call("curate", "show", str(item.id))
    assert code == 0 and "draft 1 by import/" in out
    services.review.approve(item.id, item.digest or "", actor="ann")
    code, out, _ = call("curate", "export", str(tmp_path / "out.json"), "--json")
    assert code == 0 and data(out)["records"] == 1
    services.review.undo(item.id, actor="ann")
    assert call("curate", "redo", str(item.id))[0] == 0
    code, _, err = call("curate", "redo", str(item.id))
    assert code == 1 and "settled" in err


def test_synthetic_records_become_units_and_nothing_else(
    call: Any, services: Services, tmp_path: Path
) -> None:
    path = _records(tmp_path, synthetic=True)
    code, _, err = call("curate", "import", str(path))
    assert code == 1 and "synthetic" in err and services.review.list() == []
    code, _out, _ = call("curate", "import", str(path), "--units", str(tmp_path / "u.json"))
    assert code == 0 and json.loads((tmp_path / "u.json").read_text())[0]["synthetic"] is True
    code, _, err = call("curate", "import", str(path), "--synthetic")
    assert code == 2 and "--out" in err
    code, _, err = call("curate", "import", str(path), "--synthetic", "--out", str(tmp_path / "o"))
    assert code == 2 and "drafter.endpoint" in err
