"""Hygiene of text that strangers wrote: what is stripped, and what may never go on.

Owns the cleaning of snapshots (control, bidi and zero-width characters) and the recognition of
instructions, links and chat-template tokens. The boundary against injection is not here: it is
that drafters see typed values only. This is the second line, and the rule that reports.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

MAX_LABEL_CHARS = 120
"""Longer labels are not names of anything that a narrative is about."""

_KEPT_CONTROLS = {"\n"}
_INVISIBLE = {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"}
_TAG_BLOCK = range(0xE0000, 0xE0080)

_TOKENS = re.compile(
    r"<\|[^>]{0,40}\|?>|<｜|\|>|</?s>|\[/?INST\]|<</?SYS>>|</?(?:system|user|assistant|tool|think|im_\w+)\b"
    r"|<start_of_turn>|<end_of_turn>|###\s*\w+|```|\{\{|\}\}|\{%|<script|<iframe|<img|<!--"
    r"|^\s*(?:system|user|assistant|human|developer|tool)\s*:",
    re.IGNORECASE | re.MULTILINE,
)
_ROLE_TURN = re.compile(r"\b(?:system|assistant|developer|human|user)\s*:\s", re.IGNORECASE)
_LINKS = re.compile(
    r"(?:https?|ftp|file|javascript|data|gopher)\s?:\s?/?/?\S|www\.\S|\]\(|\S+@\S+\.\w{2,}"
    r"|\b[\w-]+\.(?:com|net|org|io|ru|xyz|info|biz|co|cn|example|test|internal|local)/\S"
    r"|\b\d{1,3}(?:\.\d{1,3}){3}\b",
    re.IGNORECASE,
)
_INSTRUCTIONS = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass|overrule)\b.{0,40}"
    r"\b(?:previous|prior|above|earlier|all|any|your|these|instructions?|rules?|prompts?|guidelines?"
    r"|verifiers?|filters?|safeguards?)\b"
    r"|\b(?:system|developer|hidden|secret)\s+(?:prompt|message|instruction)"
    r"|\b(?:new|updated|following|important|these)\s+instructions?\b"
    r"|\binstructions?\s*:|\bas an ai\b|\blanguage model\b|\bjailbreak|\bdo anything now\b"
    r"|\byou (?:are now|must|should|will now|shall|have to|need to)\b"
    r"|\byour (?:task|job|role|answer) is\b"
    r"|\b(?:act|behave|pretend|respond|reply|answer|output|print|write|say|repeat|return)\b\s+"
    r"(?:as|only|with|exactly|that|the following|like|to be|in|nothing|verbatim)\b"
    r"|\bdo not (?:mention|say|tell|reveal|verify|check|follow|state|use)\b"
    r"|\b(?:approve|accept|reject|mark|flag|skip|merge|publish|promote) (?:this|the|all|every|it)\b"
    r"|\b(?:call|use|invoke|run|execute|fetch|open|visit|download|click|browse|curl)\b\s+"
    r"(?:the |this |a |on |to )?"
    r"(?:tool|function|command|code|script|link|url|page|file|following|site|here)\b"
    r"|\b(?:reveal|leak|send|exfiltrate|email|post)\b.{0,30}\b(?:key|password|token|secret|prompt|data)s?\b"
    r"|\b(?:note|message|attention|reminder|notice) (?:to|for) (?:the )?"
    r"(?:ai|assistant|model|editor|reviewer|verifier|curator|llm|bot|reader)s?\b"
    r"|\b(?:set|change) (?:the )?(?:verdict|answer|cause|label|result)\b|\bverdict\s*[:=]"
    r"|\bignorier\w*\b.{0,40}\b(?:anweisung|vorherig|alle)|\bignore[rz]?\b.{0,30}\binstru"
    r"|\bignora\b.{0,40}\b(?:instruc|istruz|anterior|precedent)|\boublie[rz]?\b.{0,30}\binstru"
    r"|игнорир|忽略|無視|无视|指示|تجاهل",
    re.IGNORECASE | re.DOTALL,
)
_ENCODED = re.compile(
    r"\b[A-Za-z0-9+/]{40,}={0,2}\b|(?:\\u[0-9a-f]{4}){2,}|(?:%[0-9a-f]{2}){3,}|&#x?\w+;", re.I
)
_COMMANDING = re.compile(
    r"^\W*(?:please )?(?:ignore|disregard|override|bypass|obey|execute|download|print|output"
    r"|approve|accept|verify|reveal|pretend|repeat|skip) "
    r"(?:the|this|that|these|all|any|every\w*|your|an?|nothing|only)\b",
    re.IGNORECASE,
)
"""How a command begins; the title of a work may begin so too, and then a person looks at it."""
_LABEL_SHAPE = re.compile(r"[<>{}\[\]|\\`^~=*_#\n\t]|[!?;:]\s|\.\s+[A-Z][a-z]+\s+[a-z]+\s+[a-z]+")


def is_invisible(char: str) -> bool:
    """Whether a character must never stand in a snapshot or in prose: control, bidi, zero-width."""
    if char in _KEPT_CONTROLS:
        return False
    return unicodedata.category(char) in _INVISIBLE or ord(char) in _TAG_BLOCK


def clean(text: str) -> str:
    """The text in NFC without invisible characters; other white space is a plain space."""
    if _is_plain(text):
        return text
    composed = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\t", " "))
    spaced = (" " if c not in _KEPT_CONTROLS and c.isspace() else c for c in composed)
    return "".join(c for c in spaced if not is_invisible(c))


def _is_plain(text: str) -> bool:
    """Whether there is nothing in the text to strip or to fold; most texts are of this kind."""
    return text.isascii() and text.replace("\n", "").isprintable()


def _folded(text: str) -> str:
    """For matching only: full-width and styled letters become plain ones, accents fall off."""
    if _is_plain(text):
        return text
    plain = unicodedata.normalize("NFKD", text)
    return "".join(c for c in plain if not unicodedata.combining(c) and not is_invisible(c))


def objections(text: str) -> list[str]:
    """Why this text must not go on, in words; empty when nothing speaks against it."""
    found: list[str] = []
    folded = _folded(text)
    if not _is_plain(text) and any(is_invisible(c) for c in text):
        found.append("control, bidirectional or zero-width characters")
    if _TOKENS.search(folded) or _ROLE_TURN.search(folded):
        found.append("a chat-template token or markup")
    if _LINKS.search(folded):
        found.append("a link or an address")
    if _INSTRUCTIONS.search(folded):
        found.append("an instruction")
    if _ENCODED.search(folded):
        found.append("encoded text")
    return found


@lru_cache(maxsize=8192)
def label_objections(label: str) -> tuple[str, ...]:
    """As `objections`, for a name: also its length and punctuation that no name has."""
    found = objections(label)
    if not label.strip():
        found.append("no text at all")
    if len(label) > MAX_LABEL_CHARS or len(label.split()) > 16:
        found.append("more text than a name has")
    if re.fullmatch(r"[QPL]\d+", label):
        found.append("an id instead of a name")
    if "an instruction" not in found and _COMMANDING.search(_folded(label)):
        found.append("an instruction")
    if _LABEL_SHAPE.search(_folded(label)):
        found.append("punctuation that no name has")
    return tuple(found)
