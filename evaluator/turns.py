"""Turns in an output: where it takes back what it said, corrects itself, or lets two stand at once.

Owns the words; `evaluator.commitment` says what follows from them.
"""

from __future__ import annotations

import re

from evaluator.grammar import CALLED_FALSE

RETRACTION = re.compile(
    r"\b(?:answer|statement|sentence|claim|premise|above|information|reply|that i (?:said|wrote)|"
    r"line|paragraph|entry|draft|part|bit)\b"
    rf"[^.;:?]{{0,60}}?\b(?:is|was|are|were|should be|must be)\s+(?:\w+ly )?(?:{CALLED_FALSE}|"
    r"disregarded|ignored|withdrawn|deleted|discarded|struck|an error|a mistake)\b|"
    r"(?:^|(?<=[.!?;:,(—–-]\s)|(?<=[.!?;:,(]))\s*(?:but |and |no, |actually, |however, )?"
    r"(?:that|this|it|which)(?: is|['’]s| was)(?: \w+ly)? (?:incorrect|wrong|false|untrue|"
    r"inaccurate|mistaken|not (?:true|correct|right|so|it|the case|how it is)|out of date|outdated|"
    r"old news|an old|last (?:season|year)['’]s|no longer (?:so|true|the case))\b(?! (?:that|"
    r"to)\b)|"
    r"\b(?:strike|scratch|scrap|disregard|forget|ignore|delete) (?:that|this|the above|what i|all "
    r"that)\b|"
    r"\b(?:he|she|it|they) (?:is not|isn['’]t|are not|aren['’]t)\s*(?:[.!?)]|$)|"
    r"\b(?:it|that|this) (?:cannot|can['’]t|could not) be (?:him|her|them|it|so|true|right|"
    r"correct)\b|"
    r"\b(?:it|that) (?:is not|isn['’]t) (?:him|her|them)\b|"
    r"\b(?:i take (?:that|it|this) back|i (?:retract|withdraw) (?:that|this|it|the)|"
    r"that was (?:last|until|before|back) \w+|i was (?:wrong|mistaken)|none of (?:that|this|it|"
    r"the above|what i said) is|(?:does|do) not "
    r"hold\b|cancel that|"
    r"on second thoughts?|cross (?:that|it) out|i (?:made|have made) (?:a mistake|an error)|my "
    r"mistake|i stand corrected|i misspoke)\b",
    re.IGNORECASE | re.MULTILINE,
)
"""Words that take back what the output said before, without naming it."""
BOTH = re.compile(
    r"\b(?:both(?! \w+ and\b)|equally|side by side|at the same time|jointly|together|"
    r"simultaneously|"
    r"room for (?:both|two)|in parallel|co-\w+|two (?:\w+ )?(?:presidents|chief executives|coaches|"
    r"heads|holders|leaders|directors|governors|clubs|teams|capitals|answers|names|men|women|people|"
    r"prime ministers|chancellors|bosses|headquarters)|each of them|colleague|alongside|"
    r"so (?:is|does|has)|as (?:is|does)(?= [A-Z])|as well as|there is also|there are two|"
    r"share[sd]?)\b",
    re.IGNORECASE,
)
"""Two at once are said to hold it."""
ALSO = re.compile(r"\b(?:also|too|as well|likewise|besides|in addition|note)\b", re.IGNORECASE)
CORRECTION = re.compile(
    r"\b(?:actually|correction|wait|i was wrong|i apologi[sz]e|sorry|let me (?:correct|revise)|on "
    r"reflection|hmm|scratch that|scrap that|that was last|strike that|i made a mistake|i stand "
    r"corrected|erratum)\b",
    re.IGNORECASE,
)
