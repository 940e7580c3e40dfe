"""The model card of an exported version: what changed, what was measured, whose texts it rests on.

Pure: a provenance goes in, Markdown comes out.
"""

from __future__ import annotations

import json

from daemon.registry.provenance import Provenance, Source

_LICENCES = {
    "wikidata": "CC0 1.0 (Wikidata statements)",
    "wikipedia": "CC BY-SA 4.0 (Wikipedia extracts, quoted)",
    "reference": "the publisher's own terms (reference pages, short quotes)",
}
"""Licence by kind of source, the part of its name before the colon."""


def model_card(found: Provenance) -> str:
    """The README.md of an exported folder."""
    version = found.version
    training = found.training
    base = found.statement["base_model"]
    parts = [
        "---",
        "library_name: peft",
        f"base_model: {json.dumps(base)}",
        "tags: [lora, knowledge-editing, almanac]",
        "---",
        "",
        f"# Knowledge update v{version.number}",
        "",
        f"LoRA adapter `{version.digest}` for the base model `{base}` (digest "
        f"`{(found.statement.get('base_digest') or 'not recorded')[:12]}`) and for no other. It "
        f"teaches {len(found.edits)} edits and keeps {found.in_force} in force over "
        f"{len(found.ancestors) + 1} version(s).",
        "",
        "Load it with `peft.PeftModel.from_pretrained(base, FOLDER)`, or serve it with vLLM's LoRA "
        "modules. `almanac.json` holds the hashes of the files, signed with Ed25519.",
        "",
        "## What changed",
        "",
        "| subject | property | before | now | since | approved by |",
        "|---|---|---|---|---|---|",
        *[_row(e.subject, e.property, e.old, e.new, e.since, e.approved_by) for e in found.edits],
        "",
        "## What was measured",
        "",
        *_measured(found),
        "",
        "## How it was made",
        "",
        f"- method `{training.get('method', 'not recorded')}`, recipe "
        f"`{training.get('recipe', 'not recorded')}`, seed {training.get('seed', 'not recorded')}",
        f"- parent: `{version.parent or 'the base model'}`",
        f"- code `{found.statement.get('code') or 'not recorded'}`, Almanac "
        f"{found.statement['almanac']}",
        "- libraries: " + _libraries(found),
        "",
        "## Sources and their licences",
        "",
        *_sources(found),
    ]
    return "\n".join(parts) + "\n"


def _measured(found: Provenance) -> list[str]:
    judged = found.evaluation
    if judged is None:
        return ["It was never evaluated."]
    lines = [
        f"The gate said **{judged.verdict}** under policy `{judged.policy}`, against "
        f"`{judged.against or 'the base model'}`, by free generation, greedy.",
        "",
        "| metric | value | 95 % interval | n |",
        "|---|---:|---:|---:|",
    ]
    for name, row in sorted(judged.metrics.items()):
        if isinstance(row, dict) and isinstance(row.get("value"), (int, float)):
            low, high = row.get("low"), row.get("high")
            known = isinstance(low, (int, float)) and isinstance(high, (int, float))
            interval = f"{low:.3f} to {high:.3f}" if known else "-"
            lines.append(_row(name, f"{row['value']:.3f}", interval, row.get("n")))
    return lines


def _libraries(found: Provenance) -> str:
    versions = found.training.get("versions", {})
    return ", ".join(f"{k} {v}" for k, v in sorted(versions.items())) or "not recorded"


def _sources(found: Provenance) -> list[str]:
    by_kind: dict[str, dict[str, Source]] = {}
    for edit in found.edits:
        for source in edit.sources:
            by_kind.setdefault(source.source.partition(":")[0], {})[source.url] = source
    if not by_kind:
        return ["No source is recorded for its edits."]
    lines: list[str] = []
    for kind, sources in sorted(by_kind.items()):
        lines += [f"{_LICENCES.get(kind, 'licence not known')}:", ""]
        lines += [f"- <{s.url}>, read {s.retrieved_at}" for s in sources.values()]
        lines.append("")
    return lines


def _row(*cells: object) -> str:
    """A line of a table; labels come from strangers and must not break out of their cell."""
    texts = ("-" if cell is None else str(cell) for cell in cells)
    return "| " + " | ".join(" ".join(t.split()).replace("|", "\\|") for t in texts) + " |"
