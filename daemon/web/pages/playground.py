"""The playground: one question, two versions, side by side, through the gateway."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import Response

from daemon.errors import AlmanacError
from daemon.services import Services
from daemon.serving.announcement import announced_url
from daemon.serving.client import GatewayClient
from daemon.web.forms import Sent
from daemon.web.identity import Open, Viewer
from daemon.web.render import page

router = APIRouter(prefix="/playground")
_TIMEOUT_S = 60.0
_MAX_TOKENS = 200
_QUESTION_CHARS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a version said, or why it did not."""

    version: str
    text: str = ""
    problem: str = ""
    took_s: float = 0.0
    tokens: int | None = None


@router.get("")
def playground(request: Request, services: Open, who: Viewer, q: str = "") -> Response:
    return _page(request, services, q, "", "", ())


@router.post("")
def ask(request: Request, services: Open, who: Viewer, form: Sent) -> Response:
    question = form["q"].strip()[:_QUESTION_CHARS]
    names = (form["a"], form["b"])
    answers = tuple(_ask(services, question, name) for name in names) if question else ()
    return _page(request, services, question, *names, answers)


def _page(
    request: Request, services: Services, q: str, a: str, b: str, answers: tuple[Answer, ...]
) -> Response:
    versions = services.registry.versions()
    _, digest = services.registry.current()
    serving = next((v for v in versions if v.digest == digest), versions[0])
    before = next((v for v in versions if v.digest == serving.parent), versions[0])
    units = services.registry.live_units(digest)
    asked = [
        question
        for unit in units[-6:]
        for question in unit.questions
        if question.kind == "direct" and question.use == "exam"
    ]
    data = {
        "at": "playground",
        "q": q,
        "a": a or f"v{before.number}",
        "b": b or f"v{serving.number}",
        "answers": answers,
        "versions": versions,
        "serving": serving,
        "examples": [question.text for question in asked],
        "gateway": announced_url(services.settings.home),
    }
    fragment = request.headers.get("hx-target") == "answers"
    return page(request, "answers.html" if fragment else "playground.html", data)


def _ask(services: Services, question: str, name: str) -> Answer:
    number = services.registry.resolve(name or "base").number
    label = f"v{number}"
    try:
        said = GatewayClient(services.settings).ask(
            question, version=number, max_tokens=_MAX_TOKENS, timeout_s=_TIMEOUT_S
        )
    except AlmanacError as error:
        return Answer(version=label, problem=str(error))
    return Answer(version=label, text=said.text, took_s=said.took_s, tokens=said.tokens)
