"""Settings: four layers, the name of each source, and errors that name what is wrong."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from daemon.clock import FileClock, clock_of
from daemon.config import load, to_environment
from daemon.errors import ConfigError


@pytest.fixture(autouse=True)
def in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("ALMANAC_CONFIG",):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def source(loaded, key: str) -> tuple[object, str]:
    return next((s.value, s.source) for s in loaded.sources if s.key == key)


def test_each_layer_wins_over_the_one_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert source(load(), "release.size") == (15, "default")
    (tmp_path / "almanac.toml").write_text("[release]\nsize = 3\nmax = 7\n")
    assert source(load(), "release.size") == (3, "file")
    monkeypatch.setenv("ALMANAC_RELEASE__SIZE", "4")
    assert source(load(), "release.size") == (4, "env")
    loaded = load(flags=["release.size=5"])
    assert source(loaded, "release.size") == (5, "flag")
    assert source(loaded, "release.max") == (7, "file")
    assert loaded.file == Path("almanac.toml")


def test_an_unknown_setting_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"'release\.sise' in --set"):
        load(flags=["release.sise=5"])
    other = tmp_path / "other.toml"
    other.write_text("[relaese]\nsize = 3\n")
    with pytest.raises(ConfigError, match=r"'relaese\.size' in .*other\.toml"):
        load(other)
    monkeypatch.setenv("ALMANAC_RELEASE__SISE", "4")
    with pytest.raises(ConfigError, match="ALMANAC_RELEASE__SISE"):
        load()


@pytest.mark.parametrize(
    ("flag", "match"),
    [
        ("release.size=many", r"release\.size in --set"),
        ("release.size=0", r"release\.size in --set"),
        ("release.size", "has no '='"),
        ("log.level=loud", r"log\.level"),
        ("release=3", "release"),
    ],
)
def test_a_wrong_value_is_told_with_its_place(flag: str, match: str) -> None:
    with pytest.raises(ConfigError, match=match) as caught:
        load(flags=[flag])
    assert "\n" not in str(caught.value)


def test_a_missing_or_broken_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        load(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("home = ")
    with pytest.raises(ConfigError, match="no readable TOML"):
        load(broken)


def test_secrets_are_masked_and_never_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALMANAC_DRAFTER__API_KEY", "sk-hidden")
    loaded = load()
    assert source(loaded, "drafter.api_key") == ("**********", "env")
    assert "sk-hidden" not in repr(loaded)
    with pytest.raises(ConfigError) as caught:
        load(flags=["drafter.api_key=17"])
    assert "17" not in str(caught.value)


def test_children_get_the_same_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = ["drafter.api_key=sk-hidden", "gateway.enabled=false", "home=elsewhere"]
    flags.append("watch.stability_h=2")
    settings = load(flags=flags).settings
    for name, value in to_environment(settings).items():
        monkeypatch.setenv(name, value)
    assert load().settings == settings


def test_a_contact_is_needed_for_the_real_wikidata_only() -> None:
    with pytest.raises(ConfigError, match=r"wikidata\.contact"):
        load().settings.require_contact()
    with pytest.raises(ConfigError, match="no mail address and no URL"):
        load(flags=["wikidata.contact=x"]).settings.require_contact()
    load(flags=["wikidata.contact=https://example.org/me"]).settings.require_contact()
    load(flags=["wikidata.contact=me@example.org"]).settings.require_contact()
    here = "http://127.0.0.1:1/w/api.php"
    names = ("api_url", "stream_url", "sparql_url", "wikipedia_url")
    load(flags=[f"wikidata.{name}={here}" for name in names]).settings.require_contact()
    with pytest.raises(ConfigError, match="contact"):
        load(flags=[f"wikidata.{name}={here}" for name in names[:3]]).settings.require_contact()


def test_an_unreadable_model_folder_is_told(tmp_path: Path) -> None:
    settings = load(flags=[f"model.base={tmp_path}"]).settings
    for name, content, says in (
        ("none", "", r"no config\.json"),
        ("config.json", "{", r"no config\.json that can be read"),
        ("config.json", "[]", "no JSON object"),
        ("config.json", "{}", "no weights"),
        ("model.safetensors", "", "no tokenizer"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(ConfigError, match=rf"model\.base is .*{says}"):
            settings.require_base_model()
    (tmp_path / "tokenizer.json").write_text("{}")
    settings.require_base_model()


def test_the_clock_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "clock"
    settings = load(flags=["clock.kind=file", f"clock.path={path}"]).settings
    clock = clock_of(settings)
    with pytest.raises(ConfigError, match="does not exist"):
        clock.now()
    moment = dt.datetime(2024, 5, 6, 7, tzinfo=dt.UTC)
    FileClock(path).set(moment)
    assert clock.now() == moment
    path.write_text("2024-05-06T07:00:00")
    with pytest.raises(ConfigError, match="no offset"):
        clock.now()
    with pytest.raises(ConfigError, match=r"clock\.path"):
        clock_of(load(flags=["clock.kind=file"]).settings)
