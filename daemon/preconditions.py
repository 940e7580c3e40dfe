"""What settings point at must be there and sound before anything starts.

Owns the checks of the model's folder, the recipe, the URLs, the drafter and the watched properties,
each a ConfigError that names its setting. The settings' own types and ranges are `daemon.config`'s.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from daemon.errors import ConfigError

if TYPE_CHECKING:  # the settings call some of these checks themselves
    from daemon.config import Settings

_TOKENIZERS = frozenset(
    {
        "tokenizer.json",
        "tokenizer.model",
        "vocab.json",
        "vocab.txt",
        "spiece.model",
        "sentencepiece.bpe.model",
        "tekken.json",
    }
)
_PROPERTY = re.compile(r"P[1-9]\d*")


def check_model(folder: Path) -> None:
    """Raises ConfigError when the folder holds no model of transformers' form."""
    lacks = _missing_of_model(folder)
    if lacks:
        raise ConfigError(
            f"model.base is {folder}, which holds {lacks}; "
            "point it at the folder of a transformers model"
        )


def check_recipe(name: str) -> None:
    """Raises ConfigError when there is no such recipe, or it is not sound."""
    from trainer.errors import TrainerError
    from trainer.recipe import load_recipe

    try:
        load_recipe(name)
    except TrainerError as error:
        raise ConfigError(f"model.recipe: {error}") from None


def check_urls(settings: Settings) -> None:
    """Raises ConfigError for the first URL of Wikidata or of the drafter that is none."""
    wikidata = settings.wikidata
    urls = {
        "wikidata.api_url": wikidata.api_url,
        "wikidata.stream_url": wikidata.stream_url,
        "wikidata.sparql_url": wikidata.sparql_url,
        "wikidata.wikipedia_url": wikidata.wikipedia_url,
        "drafter.endpoint": settings.drafter.endpoint,
        "verifier.endpoint": settings.verifier.endpoint,
    }
    for key, url in urls.items():
        if url is not None and not _is_url(url):
            raise ConfigError(f"{key} is {url!r}, which is no URL; write it as https://host/path")


def check_drafter(settings: Settings) -> None:
    """Raises ConfigError when a model shall write drafts or wordings and none is named."""
    drafter = settings.drafter
    if settings.curate.paraphrases and drafter.kind != "llm":
        raise ConfigError(
            "curate.paraphrases asks a model for wordings: set drafter.kind to llm, or it to 0"
        )
    if drafter.kind == "llm" and not (drafter.endpoint and drafter.model):
        raise ConfigError(
            'drafter.kind is "llm", which needs drafter.endpoint (an OpenAI-compatible URL) and '
            "drafter.model"
        )
    verifier = settings.verifier
    if bool(verifier.endpoint) != bool(verifier.model):
        raise ConfigError("verifier.endpoint and verifier.model go together; set both or neither")


def check_properties(settings: Settings) -> None:
    """Raises ConfigError for watched properties that are no property ids."""
    for name in settings.watch.properties:
        if not _PROPERTY.fullmatch(name):
            raise ConfigError(
                f"watch.properties holds {name!r}, which is no property id; write it as P35"
            )


def check_all(settings: Settings) -> None:
    """Everything here, and the contact. Raises the first ConfigError."""
    check_urls(settings)
    settings.require_contact()
    check_model(settings.model.base)
    check_recipe(settings.model.recipe)
    check_drafter(settings)
    check_properties(settings)


def _missing_of_model(folder: Path) -> str:
    """What keeps the folder from being a model's, in words; empty when it is one."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        files = [path.name for path in folder.iterdir() if path.is_file()]
    except (OSError, ValueError):
        return "no config.json that can be read"
    if not isinstance(config, dict):
        return "a config.json that is no JSON object"
    if not any(name.endswith(".safetensors") for name in files):
        return "no weights (*.safetensors)"
    if _TOKENIZERS.isdisjoint(files):
        return "no tokenizer (such as tokenizer.json)"
    return ""


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port  # read for what it raises
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and " " not in text
