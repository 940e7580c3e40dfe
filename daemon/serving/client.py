"""Asking this home's gateway: one question, one version or several, as the command line and the web
do it.

Owns finding the gateway, the local key, and the reading of its answers. Loads no engine.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import httpx

from daemon.config import Settings
from daemon.errors import AlmanacError, Retryable
from daemon.serving.access import Access, keys_needed
from daemon.serving.announcement import announced_url
from daemon.serving.versions import MODEL

TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An answer and who gave it."""

    version: str
    """Label of the version that answered, e.g. `v3`."""
    text: str
    tokens: int | None
    took_s: float


class GatewayClient:
    """The gateway of the home that the settings name."""

    def __init__(self, settings: Settings) -> None:
        gateway = settings.gateway
        self.url = announced_url(settings.home) or f"http://{gateway.host}:{gateway.port}"
        access = Access(settings.home)
        asked = keys_needed(gateway.host, public=gateway.public) or access.keys()
        self._headers = {"Authorization": f"Bearer {access.local()}"} if asked else {}

    def ask(
        self,
        question: str,
        *,
        version: int | None = None,
        max_tokens: int = 160,
        timeout_s: float = TIMEOUT_S,
    ) -> Said:
        """The greedy answer of a version by number (None: of what the alias serves).

        Raises Retryable when no gateway answers, AlmanacError with its words when it refuses.
        """
        body = {
            "model": MODEL if version is None else f"{MODEL}@v{version}",
            "messages": [{"role": "user", "content": question}],
            "max_tokens": max_tokens,
            "temperature": 0,
        }
        url, started = f"{self.url}/v1/chat/completions", time.monotonic()
        try:
            answer = httpx.post(url, json=body, headers=self._headers, timeout=timeout_s)
            data = answer.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            raise Retryable(f"no gateway answers at {self.url}; `almanac up` starts one") from None
        error = data.get("error") if isinstance(data, dict) else None
        if answer.status_code != 200:
            told = error.get("message") if isinstance(error, dict) else None
            raise AlmanacError(f"the gateway refused: {told or answer.status_code}")
        return Said(
            version=answer.headers.get("X-Almanac-Version", ""),
            text=str(data["choices"][0]["message"]["content"] or ""),
            tokens=(data.get("usage") or {}).get("completion_tokens"),
            took_s=time.monotonic() - started,
        )
