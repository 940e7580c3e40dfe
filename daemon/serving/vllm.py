"""The vLLM upstream: a server of its own on this machine, steered by its runtime LoRA endpoints.

Owns the names (an adapter's name holds its digest and never stands for another folder, because
vLLM's prefix cache is keyed by name and path), loading, adoption after a restart of either side,
and the rewriting of model names in answers. Requests pass through unchanged otherwise.

The server is started with `VLLM_ALLOW_RUNTIME_LORA_UPDATING=1 vllm serve BASE --enable-lora
--max-loras 4 --max-cpu-loras 8 --max-lora-rank R --host 127.0.0.1`. Its adapter endpoints load any
folder for any caller, so it must listen on this machine alone; they are never passed on.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import structlog

from agents.loopback import is_loopback_url
from daemon.errors import BlobError, ConfigError
from daemon.registry.adapters import CONFIG
from daemon.serving.errors import NotServing, Overloaded, RequestError
from daemon.serving.upstream import Call, Endpoint, Told
from daemon.serving.versions import Version

RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""Values that `--max-lora-rank` takes."""
PREFIX = "kb-"
PROBE_TOKENS = 32
WATCH_S = 2.0
_LOAD_TIMEOUT_S = 120.0

log = structlog.get_logger()


class VllmUpstream:
    """`daemon.serving.upstream.Upstream` over a vLLM server."""

    def __init__(
        self,
        url: str,
        base: Path,
        *,
        max_in_flight: int = 80,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`base` is the model's folder or name, as the server was given it. Raises ConfigError for
        a server beyond this machine."""
        _require_loopback(url)
        self._base = str(base)
        self._max_in_flight = max_in_flight
        self._in_flight = 0
        self._served: str | None = None
        """The server's own name of the base model."""
        self._folders: dict[str, Path] = {}
        self._client = httpx.AsyncClient(
            base_url=url.rstrip("/"),
            timeout=httpx.Timeout(None, connect=5.0),  # the gateway limits whole requests
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=32),
            transport=transport,
        )
        self._watching: asyncio.Task[None] | None = None
        self.problem: str | None = "vLLM has not been asked yet"

    @property
    def waiting(self) -> int:
        return self._in_flight

    async def start(self) -> None:
        self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError):
                await self._watching
        await self._client.aclose()

    # -- adapters -----------------------------------------------------------------------------

    async def load(self, version: Version, folder: Path) -> None:
        """Load, or adopt what the server holds under this name and from this folder. Raises
        BlobError for an adapter that vLLM cannot take, ConnectionError while it is away."""
        name = version.adapter
        if name is None:
            return
        path = folder.resolve()
        _check_rank(path)
        held = await self._held()
        if name in held and Path(held[name]) != path:
            raise BlobError(
                f"vLLM holds {name} from {held[name]}, and it belongs to {path}; restart vLLM: a "
                "name that stood for two folders would answer from the wrong cache"
            )
        if name not in held:
            await self._load(name, path)
        self._folders[name] = path

    async def unload(self, version: Version) -> None:
        name = version.adapter
        if name is not None:
            self._folders.pop(name, None)
            await self._unload(name)

    async def keep_only(self, names: Collection[str]) -> list[str]:
        left = [n for n in await self._held() if n.startswith(PREFIX) and n not in names]
        for name in left:
            await self._unload(name)
        return left

    async def probe(self, version: Version, questions: Sequence[str]) -> list[str]:
        async def ask(question: str) -> str:
            body = {
                "model": self._name(version),
                "messages": [{"role": "user", "content": question}],
                "max_tokens": PROBE_TOKENS,
                "temperature": 0,
            }
            answer = await self._post(f"/v1/{Endpoint.CHAT}", body)
            return answer.json()["choices"][0]["message"]["content"] or ""

        return list(await asyncio.gather(*(ask(question) for question in questions)))

    async def _load(self, name: str, path: Path) -> None:
        body = {"lora_name": name, "lora_path": str(path)}  # never `load_inplace`: stale caches
        answer = await self._send("/v1/load_lora_adapter", body, timeout_s=_LOAD_TIMEOUT_S)
        if answer.status_code == 200:
            return
        if answer.status_code == 400 and (await self._held()).get(name) == str(path):
            return  # somebody was first with the same name and folder
        raise BlobError(f"vLLM refused adapter {name} ({answer.status_code}): {_reason(answer)}")

    async def _unload(self, name: str) -> None:
        answer = await self._send("/v1/unload_lora_adapter", {"lora_name": name})
        if answer.status_code not in (200, 404):
            log.warning("vllm.not_unloaded", adapter=name, reason=_reason(answer))

    async def _held(self) -> dict[str, str]:
        """Adapters that the server holds: name to folder. Notes the base model's name.

        Raises ConnectionError, ConfigError when the server has another base model.
        """
        try:
            models = (await self._client.get("/v1/models", timeout=10.0)).json()["data"]
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise ConnectionError(f"vLLM does not say what it holds: {error}") from error
        bases = [row for row in models if row.get("parent") is None]
        roots = {str(row.get("root") or row["id"]): row["id"] for row in bases}
        known = {self._base, str(Path(self._base).resolve())}
        found = next((name for root, name in roots.items() if root in known), None)
        if found is None:
            raise ConfigError(
                f"vLLM serves {', '.join(roots) or 'nothing'}, and model.base is {self._base}; "
                "start it with that model, by the same path or name"
            )
        self._served = found
        return {row["id"]: str(row.get("root")) for row in models if row.get("parent") is not None}

    # -- requests -----------------------------------------------------------------------------

    def check(self, endpoint: Endpoint, body: dict[str, Any]) -> Call:
        model, stream = body.get("model"), body.get("stream", False)
        if not isinstance(model, str):
            raise RequestError("model: a model's name is needed", param="model")
        if not isinstance(stream, bool):
            raise RequestError("stream: true or false is needed", param="stream")
        return Call(endpoint=endpoint, body=body, model=model, stream=stream)

    def admit(self, call: Call) -> None:
        if self._in_flight >= self._max_in_flight:
            raise Overloaded(self._in_flight, 1)
        if self.problem is not None and self._served is None:
            raise NotServing(self.problem)

    async def answer(self, version: Version, call: Call) -> Told:
        with self._counted():
            answer = await self._asked(version, call)
            if answer.status_code != 200:
                raise _refused(answer, self._name(version), call.model)
            body = _renamed(answer.json(), version, call.model)
            return Told(body=body, tokens=_tokens(body))

    async def stream(self, version: Version, call: Call) -> AsyncIterator[Told]:
        with self._counted():
            async with self._opened(version, call) as answer:
                if answer.status_code != 200:
                    await answer.aread()
                    raise _refused(answer, self._name(version), call.model)
                async for line in answer.aiter_lines():
                    text = line.removeprefix("data:").strip()
                    if not line.startswith("data:") or text == "[DONE]":
                        continue
                    try:
                        body = json.loads(text)
                    except ValueError as error:
                        why = "vLLM sent what is no JSON in the middle of an answer"
                        raise _broken(why) from error
                    if "error" in body:
                        raise _broken(f"vLLM failed in the middle of an answer: {body['error']}")
                    pieces = 1 if body.get("choices") else 0
                    yield Told(body=_renamed(body, version, call.model), tokens=pieces)

    async def _asked(self, version: Version, call: Call) -> httpx.Response:
        """The answer; asked a second time when the server had lost the adapter."""
        answer = await self._send(f"/v1/{call.endpoint}", self._body(version, call))
        if answer.status_code == 404 and await self._restored(version):
            answer = await self._send(f"/v1/{call.endpoint}", self._body(version, call))
        return answer

    @asynccontextmanager
    async def _opened(self, version: Version, call: Call) -> AsyncIterator[httpx.Response]:
        for again in (True, False):
            request = self._client.build_request(
                "POST", f"/v1/{call.endpoint}", json=self._body(version, call)
            )
            try:
                answer = await self._client.send(request, stream=True)
            except httpx.HTTPError as error:
                raise self._away(error) from error
            try:
                lost = answer.status_code == 404 and again
                if lost and await self._restored(version):
                    continue
                try:
                    yield answer
                except httpx.HTTPError as error:
                    raise _broken(f"vLLM went away in the middle of an answer: {error}") from error
                return
            finally:
                await answer.aclose()

    async def _restored(self, version: Version) -> bool:
        """Load again what the server forgot, as after a restart; False when it had not."""
        name = version.adapter
        if name is None or name not in self._folders:
            return False
        log.warning("vllm.adapter_lost", adapter=name)
        if name not in await self._held():
            await self._load(name, self._folders[name])
        return True

    def _body(self, version: Version, call: Call) -> dict[str, Any]:
        """What came, under the server's name of this version: a client's own name never gets
        through, because some servers make paths of them."""
        return {**call.body, "model": self._name(version)}

    def _name(self, version: Version) -> str:
        name = version.adapter or self._served
        if name is None:
            raise NotServing(self.problem or "vLLM has not said what it serves")
        return name

    async def _post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        answer = await self._send(path, body)
        if answer.status_code != 200:
            raise RuntimeError(f"vLLM answered {answer.status_code}: {_reason(answer)}")
        return answer

    async def _send(
        self, path: str, body: dict[str, Any], *, timeout_s: float | None = None
    ) -> httpx.Response:
        try:
            return await self._client.post(path, json=body, timeout=timeout_s)
        except httpx.HTTPError as error:
            raise self._away(error) from error

    def _away(self, error: Exception) -> NotServing:
        self.problem = f"vLLM cannot be reached: {type(error).__name__} {error}".rstrip()
        return NotServing(self.problem)

    def _counted(self) -> _Counted:
        return _Counted(self)

    async def _watch(self) -> None:
        """Ask the server how it is, and give it back what it lost."""
        while True:
            self.problem = await self._look()
            await asyncio.sleep(WATCH_S)

    async def _look(self) -> str | None:
        try:
            health = await self._client.get("/health", timeout=5.0)
            if health.status_code != 200:
                return f"vLLM is not well: its health check says {health.status_code}"
            held = await self._held()
            for name, path in list(self._folders.items()):
                if name not in held:
                    log.warning("vllm.adapter_lost", adapter=name)
                    await self._load(name, path)
        except (httpx.HTTPError, OSError, RequestError, ConfigError, BlobError) as error:
            return f"vLLM cannot be used: {error}"
        return None


class _Counted:
    """Counts a request while it lasts."""

    def __init__(self, upstream: VllmUpstream) -> None:
        self._upstream = upstream

    def __enter__(self) -> None:
        self._upstream._in_flight += 1

    def __exit__(self, *_: object) -> None:
        self._upstream._in_flight -= 1


def _require_loopback(url: str) -> None:
    if not is_loopback_url(url):
        raise ConfigError(
            f"gateway.vllm_url is {url}; vLLM's adapter endpoints load files for any caller, so it "
            "must listen on this machine alone, e.g. http://127.0.0.1:8000"
        )


def _check_rank(folder: Path) -> None:
    rank = json.loads((folder / CONFIG).read_text(encoding="utf-8"))["r"]
    if rank > RANKS[-1]:
        raise BlobError(f"it has rank {rank}, and vLLM takes at most {RANKS[-1]}")


def _renamed(body: dict[str, Any], version: Version, model: str) -> dict[str, Any]:
    """An answer under the name that was asked for."""
    return {**body, "model": model, "system_fingerprint": version.fingerprint}


def _tokens(body: dict[str, Any]) -> int:
    usage = body.get("usage")
    return int(usage.get("completion_tokens", 0)) if isinstance(usage, dict) else 0


def _refused(answer: httpx.Response, name: str, model: str) -> RequestError:
    """vLLM's own refusal, in its words but for our names."""
    try:
        data = answer.json()
    except ValueError:
        data = {}
    data = data if isinstance(data, dict) else {}
    nested = data.get("error")
    error: dict[str, Any] = nested if isinstance(nested, dict) else data
    ours = 400 <= answer.status_code < 500
    code = error.get("code")
    return RequestError(
        str(error.get("message") or _reason(answer)).replace(name, model),
        status=answer.status_code if ours else 502,
        kind=str(error.get("type") or ("invalid_request_error" if ours else "server_error")),
        param=error.get("param"),
        code=None if code is None else str(code),
    )


def _reason(answer: httpx.Response) -> str:
    return answer.text.strip()[:300] or "it gave no reason"


def _broken(reason: str) -> RequestError:
    return RequestError(reason, status=502, kind="server_error")
