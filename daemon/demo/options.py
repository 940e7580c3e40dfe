"""What a demo is asked to do, how large it is, and the settings that follow from both.

Owns the two sizes and the settings file that the demo writes for its children. Runs nothing.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from daemon.demo.errors import DemoError

DEFAULT_HOME = Path("var/demo")
DEFAULT_SEED = "1"
CLOCK_FILE = "clock"
SETTINGS_FILE = "almanac.toml"
REQUEST_FILE = "demo.json"
REVIEWS = ("policy", "browser")
"""Who approves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much of everything. `step_h` is how far the simulated clock moves at a time."""

    successions: int
    noise: int
    releases: int
    edits_per_release: int
    recipe: str
    step_h: float


FULL = Size(
    successions=40,
    noise=2000,
    releases=2,
    edits_per_release=12,
    recipe="embedded",
    step_h=12.0,
)
MINI = Size(
    successions=4,
    noise=60,
    releases=2,
    edits_per_release=2,
    recipe="mini",
    step_h=48.0,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """One request for a demo. `recipe` overrides that of the size."""

    home: Path = DEFAULT_HOME
    seed: str = DEFAULT_SEED
    mini: bool = False
    recipe: str | None = None
    keep: bool = False
    fresh: bool = False
    json: bool = False
    review: str = REVIEWS[0]

    @property
    def in_browser(self) -> bool:
        """Whether a person approves, in the pages."""
        return self.review == "browser"

    @property
    def size(self) -> Size:
        return MINI if self.mini else FULL

    @property
    def chosen_recipe(self) -> str:
        return self.recipe or self.size.recipe

    @property
    def clock_file(self) -> Path:
        return self.home / CLOCK_FILE

    @property
    def settings_file(self) -> Path:
        return self.home / SETTINGS_FILE


def remember(options: DemoOptions, wikidata_port: int) -> int:
    """Write down what this home's demo is, or check that it is the same as before.

    Returns the port of the local Wikidata, which stays the same over restarts unless somebody else
    has taken it. Raises DemoError when the folder holds a demo of another seed, size or recipe.
    """
    path = options.home / REQUEST_FILE
    asked = {
        "seed": options.seed,
        "mini": options.mini,
        "recipe": options.chosen_recipe,
        "size": asdict(options.size),
    }
    if path.is_file():
        known = json.loads(path.read_text(encoding="utf-8"))
        differs = [key for key in ("seed", "mini", "recipe", "size") if known[key] != asked[key]]
        if differs:
            old = ", ".join(f"{key} {known[key]}" for key in differs if key != "size")
            raise DemoError(
                f"{options.home} holds a demo with {old or 'another size'}; "
                "start over with FRESH=1 (--fresh), or ask for the same again"
            )
        if is_free(int(known["wikidata_port"])):
            return int(known["wikidata_port"])
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps({**asked, "wikidata_port": wikidata_port}), encoding="utf-8")
    temporary.replace(path)
    return wikidata_port


def is_free(port: int) -> bool:
    """Whether nobody listens on that port of the loopback interface."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def settings_text(
    options: DemoOptions,
    wikidata_url: str,
    *,
    properties: Sequence[str],
    approvals: str,
    gate: str,
) -> str:
    """The TOML of the demo's settings: loopback everywhere, the clock from a file.

    `properties` are those whose changes count; others of the catalogue only corroborate them.
    `approvals` is the path of the review policy, `gate` name or path of the gate's.
    """
    size = options.size
    lines = [
        f"home = {_quoted(str(options.home.resolve()))}",
        "[wikidata]",
        f'api_url = "{wikidata_url}/w/api.php"',
        f'stream_url = "{wikidata_url}/v2/stream/mediawiki.page_change.v1"',
        f'sparql_url = "{wikidata_url}/sparql"',
        f'wikipedia_url = "{wikidata_url}/wikipedia/w/api.php"',
        'contact = "demo@localhost"',
        "[watch]",
        f"properties = [{', '.join(map(_quoted, properties))}]",
        "[curate]",
        "pointing = 0",  # the shipped model has never learned to read these
        "[model]",
        f'recipe = "{options.chosen_recipe}"',
        "[review]",
        f"auto_approve = {str(not options.in_browser).lower()}",
        f"policy = {_quoted(approvals)}",
        "[release]",
        f"size = {size.edits_per_release}",
        f"max = {size.edits_per_release}",
        "[gate]",
        f"policy = {_quoted(gate)}",
        "[gateway]",
        "port = 0",
        "[clock]",
        'kind = "file"',
        f"path = {_quoted(str(options.clock_file.resolve()))}",
        "[log]",
        'level = "info"',
        'style = "json"',
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
