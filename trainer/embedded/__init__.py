"""The embedded base model: a small Llama that the project trains itself and ships.

`corpus` writes what it reads, `tokenizer` cuts it, `network` is the architecture, `pretrain` the
training loop, `build` the command. The weights are in `weights/`, in the format of transformers.
"""

from __future__ import annotations

from pathlib import Path

WEIGHTS = Path(__file__).with_name("weights")
"""The shipped model: config.json, model.safetensors, tokenizer files and the card."""
