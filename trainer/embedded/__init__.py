"""The embedded base model: a small Llama that the project trains itself and ships.

`corpus` writes what it reads: changes that never happened (`changes`, `names`), told in `articles`
and asked about in `wordings`, whose wide grammar is the data of `grammar/` (`grammar`, `lexicon`).
`tokenizer` cuts it, `packing` fills rows, `network` is the architecture, `pretrain` the training
loop, `monitor` a quick look, `build` the command. The weights are in `weights/`, in the format of
transformers.
"""

from __future__ import annotations

from pathlib import Path

WEIGHTS = Path(__file__).with_name("weights")
"""The shipped model: config.json, model.safetensors, tokenizer files and the card."""
