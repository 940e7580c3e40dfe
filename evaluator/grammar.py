"""The grammar of stances: patterns over a sentence in which names have become single marks.

Owns the marks and the patterns, grouped by where they look: at what follows a name (R), at what
leads up to it (L), or at the whole sentence. How they are combined is `evaluator.reading`'s. In a
pattern, `<N>`, `<O>` and `<S>` stand for the marks of the new holder, the old holder and the
subject, `<X>` for either holder.
"""

from __future__ import annotations

import re

N, O, S = "\ue000", "\ue001", "\ue002"
ANY = f"[{N}{O}]"
"""Either holder."""


def _re(pattern: str) -> re.Pattern[str]:
    filled = pattern.replace("<X>", ANY).replace("<N>", N).replace("<O>", O).replace("<S>", S)
    return re.compile(filled, re.IGNORECASE)


_ADV = (
    r"(?:\s*,?\s*\b(?:now|then|also|still|today|just|later|soon|since|already|in fact|indeed|"
    r"therefore|thus|at present|(?!only\b|family\b)[a-z]+ly)\b,?)*\s*"
)
_TITLE = (
    r"(?:\s*(?:\bthe|\bmr|\bmrs|\bms|\bdr|\bsir|\bdame|\blord|\blady|\bking|\bqueen|\bemperor|"
    r"\bsheikh|\bpope|\bprofessor|\bgeneral|"
    r"\b(?:his|her) (?:royal )?(?:highness|majesty|excellency|holiness)|"
    r"\bprime minister|\bpresident|\bchancellor|"
    r"\bpremier|\bminister|\bcoach|\bpolitician|\btechnocrat|\beconomist|\b(?:option )?\(?[A-D]\)|"
    r"\boption [A-D][,:]?|[\"'“‘*_(\[])\.?)*\s*$"
)
_HELD = (
    r"(?:was|were|had been|served|acted|held|led|headed|ran|chaired|coached|managed|directed|"
    r"governed|occupied|presided|remained|stayed|played|worked|ruled|reigned)"
)
_APPOINTED = (
    r"(?:re-?)?(?:appointed|elected|named|chosen|sworn|inaugurated|selected|nominated|hired|"
    r"confirmed|installed|picked|announced|made|promoted|brought in|designated|unveiled)"
)
_OVER = (
    r"(?:until|till|up to|ended|came to an end|no longer|formerly|previously|earlier|once|"
    r"from \d{4} (?:to|until|through)|between|"
    r"before (?!becoming|taking|being|that|this|he\b|she\b|his|her|entering))"
)

LINK = _re(
    r"^(?:(?!['’]s)[\"'”’*_)\]])*(?:\s*\([^)]*\))?(?:\s*,[^,;.<N><O>]{1,70},(?=\s))?"
    r"(?:\s*,?\s*(?:and |but )?(?:not|rather than) <X>,?)?"
)
WHO = _re(r"^\s*,?\s*who\b")
R_NEGATED = _re(
    rf"^{_ADV}(?:(?:is|was|has|does|did|can|could|will|are)\s*(?:not|n['’]t|never)|"
    r"(?:is|was|has been)?\s*(?:no longer|never)|cannot|can['’]t|ceased|stopped being|"
    r"is (?:wrong|false|incorrect|untrue|outdated|mistaken|out of date))\b"
    r"(?!\s+(?:only|just|merely|simply|a member|affiliated|born|known|related|married|"
    r"to be confused|the first|a politician))"
)
R_ENDED = _re(
    rf"^{_ADV}(?:{_HELD}\b.*\b{_OVER}|"
    r"(?:has |had |have )?(?:left|resigned|stepped (?:down|aside|back)|departed|died|retired|lost|"
    r"quit|ended|came before|preceded|gave way|made way|handed over|vacated|passed away|fell|"
    r"used to)\b|"
    r"(?:was|were|has been|had been|is|got)\s+(?:\w+ly |then |later )?(?:replaced|succeeded|"
    r"followed|dismissed|ousted|removed|sacked|fired|voted out|deposed|impeached|defeated|"
    r"(?:the |a |an )?(?:former|previous|outgoing|last|ex|immediate predecessor|predecessor))\b|"
    r"(?:until|till)\b|\(?\d{4}\s*[-–—]\s*\d{4})"
)
R_POSSESSIVE_END = _re(
    r"^['’]s? (?:\w+ )?(?:resignation|departure|death|removal|dismissal|retirement|defeat|exit|"
    r"ouster"
    r"|(?:tenure|term|time|reign|mandate|premiership|presidency)\b.*\b(?:end|over|expire|came to))"
)
R_POSSESSIVE_EVENT = _re(r"^['’]s? (?:\w+ )?(?:appointment|election|arrival|inauguration|swearing)")
R_EVENT = _re(
    rf"^{_ADV}(?:(?:was|were|has been|had been|got|is|being)\s+(?:\w+ly |then |later )?"
    rf"{_APPOINTED}\b|(?:has |had )?(?:became|become|took|taken|takes|assumed|succeed(?:ed|s)|"
    r"replace[ds]|follow(?:ed|s)|came|comes|stepped (?:in|up)|joined|joins|won|entered|inherited|"
    r"moved into|moved to|signed)\b)"
)
R_THEN = _re(
    r"\b(?:then|and|,)\s+(?:\w+ )?(?:became|is now|now|took over|was appointed|was elected)"
)
R_CURRENT = _re(
    rf"^{_ADV}(?:is|['’]s|are|remains|has been|has (?:served|held|led|headed|run|chaired|coached|"
    r"managed|directed|played|governed|occupied)|holds|leads|heads|runs|chairs|coaches|manages|"
    r"directs|governs|presides|serves|stands|occupies|continues|sits|acts|plays|rules|fills|"
    r"represents|should be|does)\b"
)
R_ASIDE = _re(
    rf"^{_ADV}(?:(?:is|was|are|were)\s+(?:\w+ly )?(?:an?\b|one of|from|known|born|based|considered|"
    r"regarded|often|aged|married|widely|said|believed|listed|mentioned|claimed|described|"
    r"\d+ years|in \w+ party|mentioned)|was born|has a\b|comes from|belongs to|['’]s\b)"
)
R_WAS = _re(rf"^{_ADV}{_HELD}\b")
R_BRACKET_END = _re(
    r"^[\"'”’*_]*\s*\([^)]*(?:\b(?:until|till|former|resigned|left)\b|\d{4}\s*[-–—]\s*\d{4})[^)]*\)"
)
R_MODAL = _re(rf"^{_ADV}(?:(?-i:may)|might|could|would)\b")

L_NEGATED = _re(
    r"(?:\b(?:not|never|no longer|rather than|instead of|neither|nor|cannot be|can['’]t be|"
    r"as opposed to|other than|unlike)|n['’]t)" + _TITLE
)
L_FALSE = _re(
    r"\b(?:not (?:true|correct|right|accurate|the case)|false|untrue|incorrect|wrong|"
    r"no longer (?:true|correct|the case|accurate))\s+(?:to (?:say|claim) )?that[^;:]*$"
)
L_CLAIM = _re(
    r"\b(?:claim|statement|assertion|idea|notion|suggestion|proposition)s?\b"
    r"(?!\s*(?:is|was)\b)[^;]*$"
)
R_FALSE = _re(
    r"\b(?:is|was|are|be)\s+(?:\w+ly |thus |now |hence )?(?:false|incorrect|wrong|untrue|outdated|"
    r"mistaken|inaccurate|out of date|not (?:true|correct|right|accurate)|no longer)\b"
)
R_TRUE = _re(
    r"\b(?:is|was)\s+(?:\w+ly |thus |now |hence |indeed )?(?:true|correct|right|accurate)\b"
)
L_BUT = _re(r"\bnot\b.*\bbut(?: rather| instead)?" + _TITLE)
L_HEARSAY = _re(
    r"\b(?:(?:might|(?-i:may)|could|would|some|many|people|sources?|articles?|lists?|records?|users?)\b"
    r"[^;:]{0,40}\b(?:say|says|think|thinks|believe|believes|list|lists|name|names|claim|claims|"
    r"assume|mention|mentions|state)|contrary to|some believe|used to (?:think|believe)|"
    r"if)\b[^;:]*$"
)
L_PREDECESSOR = _re(
    r"(?:\b(?:succeed(?:ed|s|ing)?|replac(?:ed|es|ing)|follow(?:ed|s|ing)|"
    r"(?:took|taking|takes|taken) over from|came (?:in )?(?:after|for)|comes after|in (?:the "
    r")?place of|"
    r"successor (?:of|to)|(?:took|taking|takes) the (?:place|role|post) of|stepped in for|"
    r"(?:resignation|departure|death|removal|dismissal|retirement|ouster|defeat|exit|fall|times?|"
    r"term|tenure|era|end) of|defeat(?:ed|ing)|beat|predecessor(?: was|,| is|:)?|"
    r"used to be(?: called)?|left))" + _TITLE
)
L_FORMER = _re(
    r"\b(?:former|formerly|previous|previously|ex|outgoing|late|old|earlier|then(?=-))"
    r"(?:[\s-](?!is\b|was\b|now\b|has\b)[\w.-]+){0,5}" + _TITLE
)
L_LABEL = _re(
    r"\b(?:previously|formerly|former|before|predecessor|previous|earlier|old)[\w ]{0,30}:\s*$"
)
L_AFTER = _re(r"\bafter" + _TITLE)
L_SUCCESSOR = _re(
    r"\b(?:(?:succeeded|replaced|followed) by|(?:way|over|power|change|passed|went|moved|"
    r"transferred|fell) to|successor(?: is| was| being|,| named)?|turn of|came|appointed|elected|"
    r"nominated|designated|selected|picked|"
    r"named|chose|hired|brought in|installed|swore in|(?:appointment|election|arrival|inauguration)"
    r" of|predecessor (?:of|to)|before|preceded|joined|joins|signed (?:for|with)|from <X> to|<X> "
    r"to|"
    r"became|was taken (?:over )?by|is taken by)" + _TITLE
)
L_WAS = _re(
    r"\b(?:was|were|had been|(?:was|were) (?:led|headed|run|chaired|governed|coached|managed|"
    r"directed|held) by|(?<!has )(?<!have )played for)" + _TITLE
)
L_CURRENT = _re(
    r"(?:\b(?:is|are|now|today|currently|remains|has been|be|find|namely|called|presently|still|"
    r"simply|plays for|playing for|played for|belongs to|(?:led|headed|run|chaired|governed|"
    r"coached|"
    r"managed|directed|held) by|name of)|['’]s|[:=>–—-])" + _TITLE
)
ROLE = (
    r"(?:prime minister|president|chancellor|premier|head of (?:state|government)|head coach|coach|"
    r"manager|chief executive|ceo|boss|chair(?:man|woman|person)?|director(?:-general)?|"
    r"secretary[- ]general|general secretary|governor|mayor|king|queen|monarch|emir|"
    r"first minister|minister|captain|leader|head|pope)"
)
L_TITLE = _re(
    r"(?:['’]s|\bits|\btheir|\bour|\bthe|\bunder|\bwith|\bby|\band|\bis|,|^|[\"“>*(])\s*"
    r"(?:[a-z]+\s+){0,2}" + ROLE + r"(?:\s+of\s+(?:the\s+)?(?:<S>|\w+))?\s*,?" + _TITLE
)
"""An office, then the name: `Canada's prime minister, O`, `under head coach O`."""
PAST_OFFICE = _re(
    r"\b(?:former|formerly|previous|then|ex|outgoing|late|old|sitting|incumbent|until|before|after|"
    r"was|were|had|beat|against|succeeded|replaced|followed|defeated|resignation|departure|death|"
    r"dismissal|removal|retirement|predecessor|not|n['’]t|no)\b"
)
R_PRESENT = _re(
    r"^[^.;]{0,90}?\b(?:is|are|has|holds|still|says|calls|sits|remains|faces|welcomes|represents|leads|"
    r"heads|today|to this day|at present|continues|presides)\b"
)
L_PRESENT = _re(r"\b(?:is|are|has|have|faces|represented|today|reports to|belongs|works)\b")
RETRACTION = re.compile(
    r"\b(?:answer|statement|sentence|claim|premise|above|information|reply|that i (?:said|wrote))\b"
    r"[^.;:?]{0,60}?\b(?:is|was|are|were|should be|must be)\s+(?:\w+ly )?(?:incorrect|wrong|false|"
    r"untrue|inaccurate|mistaken|disregarded|ignored|withdrawn|an error|a mistake|outdated|"
    r"not (?:true|correct|right|accurate)|no longer (?:so|true|the case))\b|"
    r"(?:^|(?<=[.!?;:,(—–-]\s)|(?<=[.!?;:,(]))\s*(?:but |and |no, |actually, |however, )?"
    r"(?:that|this|it|which)(?: is|['’]s| was)(?: \w+ly)? (?:incorrect|wrong|false|untrue|"
    r"inaccurate|mistaken|not (?:true|correct|right|so|the case)|no longer (?:so|true|the case))\b|"
    r"\b(?:strike|scratch|disregard|forget|ignore) (?:that|this|the above)\b|"
    r"\b(?:he|she|it|they) (?:is not|isn['’]t|are not|aren['’]t)\s*(?:[.!?)]|$)|"
    r"\b(?:i was wrong|i made a mistake|my mistake|i stand corrected)\b",
    re.IGNORECASE | re.MULTILINE,
)
"""Words that take back what the output said before, without naming it."""
OTHER_NAME = re.compile(
    r"\b(?:is|are|has been)\s+(?:now |in fact |actually )?(?:[A-Z][\w'’.-]+\s+)+[A-Z][\w'’-]+|"
    r"\b[A-Z][\w'’-]+(?:\s+[A-Z][\w'’-]+)+,?\s+(?:is|has been)\b|"
    r"\b[A-Z][\w'’-]+\s+(?:is|has been) the\b|\bplays for\s+[A-Z]"
)
"""Somebody is named as the present holder, or the present club."""
VERB = _re(
    r"\b(?:is|was|are|were|has|had|have|been|became|did|does|do|came|took|led|leads|held|holds|left|"
    r"resigned|followed|replaced|succeeded|named|said|know|think|believe|called|\w+ed)\b"
)
OPTIONS = _re(r"<X>[^.;]{0,12}\bor\b[^.;]{0,24}<X>|\beither\b[^.;]*<X>")
END_WORDS = _re(
    r"\b(?:until|till|earlier|previously|formerly|before that|used to|once|former days)\b"
)
STRONG_HEDGE = _re(
    r"\b(?:might|(?-i:may)(?! not\b)|perhaps|possibly|could be|not (?:sure|certain)|"
    r"unsure|unclear|uncertain|don['’]t know|do not know|cannot say|can['’]t say|either)\b"
)
WEAK_HEDGE = _re(
    r"\b(?:probably|likely|i think|i believe|i guess|presumably|it seems|apparently|"
    r"as far as i know|to my knowledge|if i recall)\b"
)
