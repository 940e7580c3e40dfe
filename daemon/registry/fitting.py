"""Whether an adapter can lie over a base model, from the headers of their files alone.

Owns the comparison of modules and shapes. Loads no weights and no torch.
"""

from __future__ import annotations

from pathlib import Path

from daemon.errors import BlobError
from daemon.registry.adapters import pairs_of, tensors_of


def check_fit(adapter: Path, base: Path) -> None:
    """Raises BlobError when the adapter changes a module that the base model does not have, or one
    of another shape."""
    shapes = _shapes(base)
    for pair in pairs_of(adapter):
        name = f"{pair.module}.weight"
        # Some families (GPT-2) leave the name of the decoder out of their files.
        shape = shapes.get(name) or shapes.get(name.partition(".")[2])
        if shape is None:
            raise BlobError(
                f"it changes {pair.module}, which the base model in {base} does not have; it was "
                "made for another model"
            )
        if sorted(shape) != sorted([pair.outputs, pair.inputs]):
            raise BlobError(
                f"it expects {pair.module} to map {pair.inputs} to {pair.outputs}, and the base "
                f"model in {base} has {shape}; it was made for another model"
            )


def _shapes(base: Path) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for path in sorted(base.glob("*.safetensors")):
        found |= {name: row["shape"] for name, row in tensors_of(path).items()}
    return found
