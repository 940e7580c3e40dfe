"""A judge's endpoint that misbehaves on purpose, over real HTTP on the loopback.

Owns the server, its ways of misbehaving, and the rows that say that none of them changes a metric
unseen: either the metrics are those of the honest judge, or rows without a verdict say why not.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import openai

from daemon.bench.rows import Op, Row
from evaluator.endpoint import EndpointClient
from evaluator.examine import Output
from evaluator.judge import RuleJudge, judge_output
from evaluator.llm import LlmJudge
from evaluator.metrics import Estimate, Metric, measure
from evaluator.probes import Part, Probe, Suite
from evaluator.refutation import refutation
from evaluator.verdicts import Verdict
from knowledge.questions import QuestionKind

Flags = dict[str, Any]
Answer = Callable[[Flags, int], str | None]
"""From the honest flags and the number of the call to the reply's text; None: no reply in time."""

TIMEOUT_S = 0.4


_YES: Flags = {
    "asserts_new": True,
    "negates_new": False,
    "asserts_old_current": False,
    "ends_affirming_new": True,
    "final_answer": "right",
    "says": "neither",
    "cause": "absent",
    "hedged": False,
    "self_refuting": False,
}
_NO: Flags = _YES | {
    "asserts_new": False,
    "asserts_old_current": True,
    "ends_affirming_new": False,
    "final_answer": "legacy",
}


def honest(flags: Flags, _: int) -> str:
    return json.dumps(flags)


FAULTS: dict[str, Answer] = {
    "lies: everything is right": lambda f, n: json.dumps(_YES),
    "lies: everything is old": lambda f, n: json.dumps(_NO),
    "lies: right and old exchanged": lambda f, n: json.dumps(
        _NO if f["final_answer"] == "right" else _YES
    ),
    "lies: sees no self-refutation": lambda f, n: json.dumps(
        f | {"negates_new": False, "asserts_old_current": False, "self_refuting": False}
    ),
    "times out": lambda f, n: None,
    "times out every second time": lambda f, n: None if n % 2 else json.dumps(f),
    "broken JSON": lambda f, n: json.dumps(f)[:-7],
    "no JSON": lambda f, n: "PASS",
    "a flag is missing": lambda f, n: json.dumps(
        {k: v for k, v in f.items() if k != "negates_new"}
    ),
    "a flag of another type": lambda f, n: json.dumps(f | {"asserts_new": "yes"}),
    "verdict against its flags": lambda f, n: json.dumps(
        f | {"self_refuting": not f["self_refuting"]}
    ),
    "final answer against its flags": lambda f, n: json.dumps(
        f | {"asserts_new": False, "final_answer": "right"}
    ),
}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, answer: Answer, known: dict[str, Probe]) -> None:
        self.answer = answer
        self.known = known
        self.calls = 0
        self.closing = threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, _Server)
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        case = json.loads(asked["messages"][-1]["content"])
        server.calls += 1
        said = server.answer(_read(server.known[case["question"]], case["output"]), server.calls)
        if said is None:
            server.closing.wait(3 * TIMEOUT_S)
            return
        reply = {
            "id": "x",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": asked["model"],
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": said},
                    "finish_reason": "stop",
                }
            ],
        }
        body = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the bench prints its rows only."""


def _read(probe: Probe, text: str) -> Flags:
    """What an honest judge would reply: the rule judge's reading of the output."""
    row: Verdict = judge_output(
        probe, Output(probe=probe.id, text=text, finished=True, tokens=len(text))
    )
    return {
        "asserts_new": row.asserts_new,
        "negates_new": row.negates_new,
        "asserts_old_current": row.asserts_old_current,
        "ends_affirming_new": row.reaffirms_new,
        "final_answer": row.final.value,
        "says": {True: "yes", False: "no", None: "neither"}[row.says_yes],
        "cause": row.cause.value,
        "hedged": row.hedged,
        "self_refuting": refutation(row) is not None,
    }


@contextmanager
def endpoint(answer: Answer, suite: Suite) -> Iterator[EndpointClient]:
    """A client of a server on a free port that answers so."""
    server = _Server(answer, {p.question.text: p for p in suite.probes})
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        client = openai.AsyncOpenAI(
            base_url=f"http://127.0.0.1:{server.server_port}/v1",
            api_key="none",
            timeout=TIMEOUT_S,
            max_retries=0,
        )
        yield EndpointClient(client, "scripted")
    finally:
        server.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


def endpoint_rows(suite: Suite, edits: int) -> list[Row]:
    """One row an endpoint: metrics that moved although the table shows no missing verdict."""
    asked = _short(suite, edits)
    outputs = _mixed_outputs(asked)
    true = measure(RuleJudge().judge(asked, outputs))
    rows: list[Row] = []
    for name, answer in {"honest": honest, **FAULTS}.items():
        with endpoint(answer, asked) as client:
            table = LlmJudge(client).judge(asked, outputs)
        errors = sum(row.error is not None for row in table)
        moved = _moved(measure(table), true)
        rows.append(
            Row(
                what=f"judge endpoint, {name}: metrics changed silently",
                value=0 if errors else len(moved),
                unit="",
                bar=0,
                op=Op.EQUAL,
                detail=f"{errors} of {len(table)} outputs are told as not judged",
            )
        )
    return rows


def _moved(found: dict[Metric, Estimate], true: dict[Metric, Estimate]) -> list[Metric]:
    return [m for m in Metric if found[m].value != true[m].value]


def _short(suite: Suite, edits: int) -> Suite:
    wanted = set(suite.clusters(Part.EDIT)[:edits])
    kinds = (QuestionKind.DIRECT, QuestionKind.EXPLAIN, QuestionKind.CONFLICT)
    return Suite(probes=tuple(p for p in suite.of(Part.EDIT, *kinds) if p.cluster in wanted))


def _mixed_outputs(suite: Suite) -> list[Output]:
    """Right, old and self-refuting answers in turn."""
    said: list[Output] = []
    for number, probe in enumerate(suite.probes):
        back = f"It is {probe.new[0]}. No, that is wrong: it is still {probe.old[0]}."
        text = (probe.question.reference, f"{probe.old[0]}.", back)[number % 3]
        said.append(Output(probe=probe.id, text=text, finished=True, tokens=len(text.split())))
    return said
