"""Versions of the model: content-addressed adapters, releases, and the aliases that name one.

`Registry` is what others use; `Blobs` keeps the files, `Releases` the frozen batches.
"""

from __future__ import annotations

from daemon.registry.blobs import Blobs
from daemon.registry.releases import Releases
from daemon.registry.service import Registry

__all__ = ["Blobs", "Registry", "Releases"]
