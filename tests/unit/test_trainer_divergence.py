"""The divergence against a dense float64 oracle, and its own laws."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from trainer.divergence import (
    DivergenceSpec,
    cross_entropy_from_hidden,
    divergence,
    divergence_from_hidden,
    token_logprobs,
)

KINDS = ("forward", "reverse", "jsd")


def _logits(seed: int, rows: int = 7, vocabulary: int = 40, scale: float = 3.0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return scale * torch.randn(rows, vocabulary, generator=generator)


def _oracle(student: Tensor, teacher: Tensor, kind: str, beta: float) -> Tensor:
    """Sums over plain probabilities in float64."""
    p, q = torch.softmax(teacher.double(), -1), torch.softmax(student.double(), -1)
    if kind == "forward":
        return (p * (p / q).log()).sum(-1)
    if kind == "reverse":
        return (q * (q / p).log()).sum(-1)
    m = beta * p + (1 - beta) * q
    return beta * (p * (p / m).log()).sum(-1) + (1 - beta) * (q * (q / m).log()).sum(-1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("beta", [0.2, 0.5])
@pytest.mark.parametrize("top_k", [0, 40, 400])
def test_it_is_exact_when_the_support_is_the_vocabulary(kind: str, beta: float, top_k: int) -> None:
    student, teacher = _logits(1), _logits(2)
    spec = DivergenceSpec(kind=kind, beta=beta, top_k=top_k)
    found = divergence(student, teacher, spec)
    torch.testing.assert_close(found, _oracle(student, teacher, kind, beta).float())


@pytest.mark.parametrize("kind", KINDS)
def test_a_support_that_covers_everything_from_both_sides_is_exact_too(kind: str) -> None:
    """39 of 40 from each side: the union is the whole vocabulary, the tail is empty."""
    student, teacher = _logits(3), _logits(4)
    found = divergence(student, teacher, DivergenceSpec(kind=kind, top_k=39))
    expected = _oracle(student, teacher, kind, 0.5)
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("top_k", [1, 3, 8])
def test_the_union_support_with_a_tail_is_the_divergence_of_the_merged_tokens(
    kind: str, top_k: int
) -> None:
    student, teacher = _logits(5), _logits(6)
    merged: list[list[Tensor]] = [[], []]
    for s, t in zip(student, teacher, strict=True):
        union = sorted({*s.topk(top_k).indices.tolist(), *t.topk(top_k).indices.tolist()})
        for out, logits in zip(merged, (s, t), strict=True):
            p = torch.softmax(logits.double(), -1)
            kept = p[union]
            padded = torch.cat([kept, 1 - kept.sum()[None]]).log()
            out.append(padded)
    expected = torch.cat(
        [_oracle(s[None], t[None], kind, 0.5) for s, t in zip(merged[0], merged[1], strict=True)]
    )
    found = divergence(student, teacher, DivergenceSpec(kind=kind, top_k=top_k))
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_smaller_support_never_says_more_than_the_whole(kind: str) -> None:
    student, teacher = _logits(7, rows=50), _logits(8, rows=50)
    exact = divergence(student, teacher, DivergenceSpec(kind=kind))
    for top_k in (1, 4, 16):
        part = divergence(student, teacher, DivergenceSpec(kind=kind, top_k=top_k))
        assert bool((part <= exact + 1e-5).all())
        assert bool((part >= -1e-6).all())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("top_k", [0, 5])
def test_equal_sides_have_none_and_the_gradient_reaches_the_student_alone(
    kind: str, top_k: int
) -> None:
    spec = DivergenceSpec(kind=kind, top_k=top_k)
    same = divergence(_logits(9), _logits(9), spec)
    torch.testing.assert_close(same, torch.zeros(7), atol=1e-6, rtol=0)
    student, teacher = _logits(1).requires_grad_(), _logits(2).requires_grad_()
    divergence(student, teacher, spec).sum().backward()
    assert student.grad is not None and bool(student.grad.abs().sum() > 0)
    assert teacher.grad is None


def test_the_forward_gradient_is_the_difference_of_the_distributions() -> None:
    student, teacher = _logits(1).double().requires_grad_(), _logits(2).double()
    divergence(student, teacher, DivergenceSpec(kind="forward")).sum().backward()
    assert student.grad is not None
    expected = torch.softmax(student.detach(), -1) - torch.softmax(teacher, -1)
    torch.testing.assert_close(student.grad, expected)


def test_without_a_tail_both_sides_are_renormalised() -> None:
    student, teacher = _logits(5, rows=1), _logits(6, rows=1)
    union = sorted({*student[0].topk(3).indices.tolist(), *teacher[0].topk(3).indices.tolist()})
    expected = _oracle(student[:, union], teacher[:, union], "forward", 0.5)
    found = divergence(student, teacher, DivergenceSpec(top_k=3, tail=False))
    torch.testing.assert_close(found.double(), expected, atol=1e-5, rtol=1e-4)


def test_the_temperature_flattens_both_sides() -> None:
    student, teacher = _logits(5), _logits(6)
    found = divergence(student, teacher, DivergenceSpec(temperature=2.0))
    expected = _oracle(student / 2, teacher / 2, "forward", 0.5)
    torch.testing.assert_close(found, expected.float())


@pytest.mark.parametrize("chunk", [3, 100])
@pytest.mark.parametrize("top_k", [0, 6])
def test_from_hidden_states_in_chunks_it_is_the_same_with_the_same_gradient(
    chunk: int, top_k: int
) -> None:
    torch.manual_seed(1)
    head = torch.nn.Linear(8, 40, bias=False)
    teacher, targets = torch.randn(10, 8), torch.randint(0, 40, (10,))
    spec = DivergenceSpec(kind="jsd", top_k=top_k)
    plain = torch.randn(10, 8).requires_grad_()
    chunked = plain.detach().clone().requires_grad_()
    expected = divergence(head(plain), head(teacher), spec)
    expected.sum().backward()
    out = divergence_from_hidden(chunked, teacher, head, targets, spec, chunk=chunk)
    out.divergence.sum().backward()
    torch.testing.assert_close(out.divergence, expected)
    torch.testing.assert_close(chunked.grad, plain.grad)
    logprobs = torch.log_softmax(head(plain), -1).gather(-1, targets[:, None]).squeeze(-1)
    torch.testing.assert_close(out.logprob, logprobs.detach())
    torch.testing.assert_close(token_logprobs(chunked, head, targets, chunk=chunk), logprobs)
    entropy = cross_entropy_from_hidden(chunked, head, targets, chunk=chunk)
    torch.testing.assert_close(entropy, -logprobs.sum())


@pytest.mark.parametrize(("kind", "beta"), [("forward", 0.0), ("reverse", 1.0), ("jsd", 0.3)])
def test_it_equals_trls_own_function(kind: str, beta: float) -> None:
    loss_utils = pytest.importorskip("trl.experimental.sdft.loss_utils")
    student, teacher = _logits(1), _logits(2)
    theirs = loss_utils.compute_divergence(
        torch.log_softmax(student, -1), torch.log_softmax(teacher, -1), beta
    )
    ours = divergence(student, teacher, DivergenceSpec(kind=kind, beta=beta or 0.5))
    torch.testing.assert_close(ours, theirs if theirs.dim() == 1 else theirs.sum(-1))


def test_a_certain_teacher_costs_what_cross_entropy_costs() -> None:
    student = _logits(1, rows=1)
    teacher = torch.full((1, 40), -math.inf)
    teacher[0, 5] = 0.0
    safe = teacher.clamp_min(-1e4)
    found = divergence(student, safe, DivergenceSpec(kind="forward"))
    expected = torch.nn.functional.cross_entropy(student, torch.tensor([5]))
    torch.testing.assert_close(found[0], expected)
