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


def _any(words: str) -> str:
    """The alternatives of a list, one a line or separated by `; `, as a group."""
    parts = (w.strip() for line in words.splitlines() for w in line.split("; "))
    return "(?:" + "|".join(w for w in parts if w) + ")"


OFFICE = _any(
    """prime minister; president; chancellor; premier; head of (?:the )?(?:state|government)
    head coach
    coach; manager; chief executive(?: officer)?; ceo; boss; chair(?:man|woman|person)?
    (?:managing )?director(?:[- ]general)?; secretary[- ]general; general secretary; governor; mayor
    king; queen; monarch; emir; emperor; sultan; grand duke; grand duchess; sovereign
    first minister
    minister; captain; leader; head; pope; pontiff; pm; taoiseach; rector; chief adviser; skipper
    trainer; ruler; commander[- ]in[- ]chief; archbishop; commissioner; curator"""
)
"""Nouns of offices, as a group."""
_ADV = (
    r"(?:\s*,?\s*\b(?:now|then|also|still|today|just|later|soon|since|already|in fact|indeed|"
    r"himself|herself|itself|of course|by contrast|in truth|for (?:his|her) part|"
    r"therefore|thus|at present|however|though|meanwhile|in turn|once again|again|"
    r"(?!only\b|family\b)[a-z]+ly)\b,?)*\s*"
)
_TITLE = (
    r"(?:\s*(?:\bthe|\bmr|\bmrs|\bms|\bdr|\bsir|\bdame|\blord|\blady|\bking|\bqueen|\bemperor|"
    r"\bsheikh|\bpope|\bprofessor|\bgeneral|\bduke|\bcaptain|\bcolonel|\bbaron(?:ess)?|"
    r"\b(?:his|her) (?:royal )?(?:highness|majesty|excellency|holiness)|"
    r"\bprime minister|\bpresident|\bchancellor|\bmanager|\bceo|\bdirector|\bgovernor|\bmayor|"
    r"\bpremier|\bminister|\bcoach|\bpolitician|\btechnocrat|\beconomist|\b(?:option )?\(?[A-D]\)|"
    r"\boption [A-D][,:]?|[\"'“‘*_(\[])\.?)*\s*$"
)
_HELD = _any(
    """was; were; had been; served; acted; held; led; headed; ran; chaired; coached; managed
    directed
    governed; occupied; presided; remained; stayed; played; worked; ruled; reigned; drove; captained
    commanded; oversaw; kept"""
)
_APPOINTED = r"(?:re-?)?" + _any(
    """appointed; elected; named; chosen; sworn; inaugurated; selected; nominated; hired; confirmed
        installed; picked; announced; made; promoted; brought in; designated; unveiled; crowned
        proclaimed; enthroned; voted in; tapped; put in charge; traded; transferred; sold; loaned
        handed the; given the; recruited; drafted in"""
)
_REMOVED = _any(
    """replaced; succeeded; followed; dismissed; ousted; removed; sacked; fired; voted out; deposed
    impeached; defeated; beaten; toppled; overthrown; unseated; forced; relieved; axed; let go
    pushed
    dropped; told to go; shown the door; swept; out of office; out of the job; out of power
    history"""
)
_WENT = _any(
    """left; resigned; stepped (?:down|aside|back); departed; died
    retired(?! from (?:playing|football|rugby|international|the army|the military|active))
    lost (?:the |his |her |its )?(?:job|office|post|seat|power|election|vote|confidence|throne)
    quit; ended
    came before; preceded; gave way; made way; handed over; handed (?:the|it|on)\\b; vacated
    passed away; fell; bowed out; stood (?:down|aside); gave up; relinquished; abdicated; conceded
    moved on; walked away; ceded; surrendered; tendered; used to; was gone; had gone; passed the"""
)
_OVER = (
    r"(?:until|till|up to|ended|came to an end|no longer|formerly|previously|earlier|once|"
    r"from \d{4} (?:to|until|through)|between|"
    r"before (?!becoming|taking|being|that|this|he\b|she\b|his|her|entering))"
)
RELATIVE = r"(?:\w+[- ]){0,2}" + _any(
    """son; daughter; brother; sister; wife; husband; father; mother; uncle; nephew; niece; cousin
        widow; child; heir; runner-up; loser; opponent; rival; challenger; candidate; nominee
        favou?rite; deputy; adviser; advisor; author; (?:co-)?founder; owner
        leader of the opposition
        opposition leader; president-elect; crown prince; second-in-command; number two; assistant
        finance (?:minister|director|secretary); foreign (?:minister|secretary); speaker; ambassador
        interior (?:minister|secretary); defen[cs]e (?:minister|secretary); member; former \\w+
        health (?:minister|secretary); education (?:minister|secretary)
        (?<!prime )minister of (?!state|the\\b)\\w+
        minister for \\w+; secretary of \\w+; chief of staff"""
)
"""What somebody may be without holding the office."""
CALLED_FALSE = _any(
    """false; incorrect; wrong; untrue; outdated; mistaken; inaccurate; out of date; out-of-date
    stale; obsolete; an error; a mistake; not (?:true|correct|right|accurate|so|the case); no longer
    history; past; superseded; disproved; refuted; baseless; unfounded"""
)

LINK = {
    own: _re(
        r"^(?:(?!['’]s)[\"'”’*_)\]])*(?:\s+of [A-Z]\w+(?=\s+(?:is|was|has)\b))?(?:\s*\([^)]*\))?"
        rf"(?:\s*,[^,;.{rival}]{{1,90}},(?=\s))?"
        r"(?:\s*,?\s*(?:and |but )?(?:not|rather than) <X>,?)?"
    )
    for own, rival in ((N, O), (O, N))
}
"""By the mark of the name: what may stand between it and its verb."""
WHO = _re(r"^\s*,?\s*who\b")
KNOWN = _re(
    r"^\s*is (?:also |often |better |widely )?(?:called|known|nicknamed)\b[^.;]*?,\s*"
    r"(?=(?:is|has|leads|heads|runs)\b)"
)
"""`as N is known because ...,` before the verb."""

# What follows a name ------------------------------------------------------------------------

R_NEGATED = _re(
    rf"^{_ADV}(?:(?:is|was|has|does|did|can|could|will|are)\s*(?:not|n['’]t|never)|"
    r"(?:is|was|has been)?\s*(?:no longer|never)|cannot|can['’]t|ceased|stopped being|"
    r"won['’]t|has no (?:\w+ )?(?:post|office|role|position|part|place|job|seat)|(?:is|was|would "
    r"be) (?:(?:the|a|an) )?(?:wrong|false|incorrect|untrue|outdated|mistaken|"
    r"out of date|error|mistake))\b"
    r"(?!\s+(?:only|just|merely|simply|a member|affiliated|born|known|related|married|alone|even|"
    r"to be confused|the first|the only|the last|the oldest|the youngest|a politician|expected|"
    r"elected on|stand|run|seek|universally|without|popular|a native))"
)
R_LEADS_OTHER = _re(
    rf"^{_ADV}(?:heads|leads|chairs|runs|directs|manages|represents|serves (?:as|in|"
    rf"on))\s+(?:an?\b|his\b|"
    r"her\b|their\b|one of\b|another\b|(?:the )?(?:[\w-]+ ){0,3}(?:task force|committee|"
    r"commission|party|"
    r"opposition|delegation|bloc|parliamentary group|department|ministry|panel|institute|campaign|"
    r"faction|foundation|charity|think tank|subsidiary|branch|division)\b)"
)
R_ENDED = _re(
    rf"^{_ADV}(?:{_HELD}\b.*\b{_OVER}|(?:has |had |have |then |later |since )*{_WENT}\b|"
    rf"(?:was|were|has been|had been|is|got)\s+(?:\w+ly |then |later |now )?(?:{_REMOVED}|"
    r"(?:the |a |an |his |her |their |its )?(?:former|previous|outgoing|last|ex|"
    r"immediate predecessor|predecessor))\b|"
    r"(?:until|till)\b|\(?\d{4}\s*[-–—]\s*\d{4})"
)
R_POSSESSIVE_END = _re(
    r"^['’]s? (?:\w+[- ]){0,2}(?:resignation|departure|death|removal|dismissal|retirement|defeat|"
    r"exit|ouster|successor|replacement|abdication|sacking|firing|overthrow|downfall|fall|"
    r"impeachment|predecessor(?= (?:is|was|has)\b.*<X>)|"
    r"(?:tenure|term|time|reign|mandate|premiership|presidency|contract|run|era|days|spell)\b.*\b"
    r"(?:end|ended|over|expired?|came to|ran out|lapsed|up|not (?:\w+ )?(?:extended|renewed)))"
)
R_POSSESSIVE_EVENT = _re(
    r"^['’]s? (?:\w+[- ]){0,2}(?:appointment|election|arrival|inauguration|swearing|accession|"
    r"coronation|victory|win|predecessor)"
)
R_EVENT = _re(
    rf"^{_ADV}(?:(?:was|were|has been|had been|got|is|being)\s+(?:\w+ly |then |later )?"
    rf"{_APPOINTED}\b|(?:has |had |have )?(?:since |now |then )?(?:became|become|becomes|took|"
    rf"taken|"
    r"takes|assumed|assumes|succeed(?:ed|s)|replace[ds]|follow(?:ed|s)|came|comes|"
    r"stepped (?:in|up)|joined|joins|won|entered|inherited|inherits|moved into|moved to|signed|"
    r"acceded|ascended|rose|risen|seized|got|gained|secured|clinched|triumphed|prevailed|ousted|"
    r"unseated|toppled|overthrew|returned (?:to|as)|formed|switched to|started as)\b)"
)
R_THEN = _re(
    r"\b(?:then|and|,)\s+(?:\w+ )?(?:became|is now|now|took over|was appointed|was elected)|"
    r"\band is (?:now |once again |again )?(?:the )?(?:president|prime minister|chancellor|head)\b"
)
R_CURRENT = _re(
    rf"^(?:\s*,)?{_ADV}(?:is|['’]s|are|remains|remain|has been|has (?:(?:served|held|led|headed|"
    rf"run|chaired|"
    r"coached|managed|directed|played|governed|occupied|ruled|reigned)\b(?![^.;]*\b(?:twice|once|before|"
    r"\w+ times|in the past))|(?:that|this|the) (?:job|post|"
    r"role|position|office|title|top job))|holds|leads|heads|runs|chairs|coaches|"
    r"manages|directs|governs|presides|serves|stands|occupies|continues|sits|acts|plays|rules|"
    r"fills|represents|should be|does|reigns|commands|captains|steers|oversees|wears|drives|"
    r"retains|keeps|carries on|calls the shots|still has|trains|both)\b"
)
R_ASIDE = _re(
    rf"^{_ADV}(?:(?:is|was|are|were)\s+(?:\w+ly )?(?:an?\b|one of|from|known|born|based|considered|"
    r"regarded|often|aged|married|widely|said|believed|listed|mentioned|claimed|described|"
    r"\d+ years|in \w+ party|his\b|her\b|their\b|expected|tipped|set to|due to|likely to|slated|"
    r"scheduled|poised|running|hoping|seen as|famous|best known|supported|interested|reported|"
    r"rumou?red|linked|related|unemployed|retired|dead|out of (?:work|office)|the one (?:he|she|"
    r"they|people|many|whom)\b|"
    rf"(?:(?:the|another|merely|only|just|still) )*{RELATIVE}s?\b)|was born|has (?:a|been "
    rf"(?:reported|linked|rumou?red|tipped|"
    r"mentioned|suggested))\b|comes from|belongs to|['’]s\b)"
)
R_WAS = _re(rf"^{_ADV}{_HELD}\b")
R_DID = _re(rf"^{_ADV}{_HELD}\b(?P<what>.*?)\b{_OVER}")
"""What somebody did, and until when."""
R_BRACKET_END = _re(
    r"^[\"'”’*_]*\s*\([^)]*(?:\b(?:until|till|former|resigned|left)\b|\d{4}\s*[-–—]\s*\d{4})[^)]*\)"
)
R_MODAL = _re(rf"^{_ADV}(?:(?-i:may)|might|could|would)\b")
R_APPOSED = _re(
    r"^[\"”*]*\s*,\s*(?:the|its|their|our|his)\s+(?:(?:current|present|new|sitting|incumbent|\w+th|\d+\w\w|"
    r"country['’]s|nation['’]s)\s+)*"
    + OFFICE
    + r"\b(?!\s*(?:until|till|from|at the time|before|then))|"
    r"^\s*,\s*" + OFFICE + r"\b[^,.;]{0,30}\bsince\b"
)
"""`N, the prime minister`."""
R_PREDECESSOR = _re(
    r"^\s*,?\s*(?:being |was )?(?:his|her|their|the|its) (?:predecessor|forerunner)\b"
)
R_FALSE = _re(rf"\b(?:is|was|are|be|has been)\s+(?:\w+ly |thus |now |hence )?{CALLED_FALSE}\b")
R_TRUE = _re(
    r"\b(?:is|was)\s+(?:\w+ly |thus |now |hence |indeed )?(?:true|correct|right|accurate)\b"
    r"(?! (?:up to|until|till|before|in|at|when|then|once|only)\b)"
)
R_THEIRS = _re(
    r"^(?:[^.;]*?[,;]\s*|\s*)(?:but|yet|though|and|however)?,?\s*(?:it|he|she|they|that)\s+"
    r"(?:is|are)\s*(?:not|n['’]t|no longer)\s+(?:\w+ )?"
    rf"(?:the |its |their )?(?:current |actual |present )?(?:{OFFICE}|headquarters|capital|seat|"
    rf"home|"
    r"head office|club|team)\b"
)
"""A later clause of the sentence that denies its subject the fact: `N hosts ..., but it is not the
headquarters`."""
R_OTHER_PERSON = _re(
    r"^\s*(?:is|was)\s+(?:quite |simply |just )?(?:a different|another|a namesake|someone else|"
    r"somebody else)\b"
)
R_PRESENT = _re(
    r"^\W*(?!was\b|does\b)[a-z]{3,}s\b|^[^.;]*?\b(?:every|each) (?:day|week|month|year|morning|"
    r"\w+day)\b|"
    r"^[^.;]{0,90}?\b(?:is|are|has|holds|still|says|calls|sits|remains|faces|welcomes|represents|leads|"
    r"heads|today|to this day|at present|continues|presides|gives|wants|plans|shows|intends|does|"
    r"runs|lives|shows|enjoys|chairs|meets|receives|signs|approves|decides)\b"
)
R_SEATED = _re(
    r"^\s*(?:still |now |firmly |back )?(?:in|at|behind|on|occupying|holding|as)\s+(?:the |its |"
    r"their |his )?"
    r"[\w'’ -]{0,25}?(?:chair|helm|office|charge|seat|throne|desk|post|saddle|dugout|top|job|"
    r"wheel|role|"
    r"power|command|boss|head|presidency)\b"
)
"""`with O at the helm`."""
R_POSSESSIVE_CURRENT = _re(
    r"^['’]s? (?:\w+ )?(?:government|cabinet|administration|coalition|presidency|premiership|"
    r"leadership|"
    r"rule|reign|tenure|office)\s+(?:is|has|continues|remains|faces|plans|runs|lasts)\b"
    r"(?!.*\b(?:over|ended|expired|fallen|fell|former|past|until)\b)"
)
R_HANDS = _re(r"^['’]s? (?:\w+ )?hands\b")
R_MEMBER = _re(
    r"^[\"'”’*_]*\s*(?:player|striker|forward|midfielder|defender|goalkeeper|winger|quarterback|"
    r"guard|driver|pitcher|outfielder|man|star|footballer|centre-back|full-back)\b"
)

# What leads up to a name ---------------------------------------------------------------------

L_NEGATED = _re(
    r"(?:\b(?:not|never|no longer|rather than|instead of|neither|nor|cannot be|can['’]t be|"
    r"as opposed to|(?<!none )(?<!one )(?<!no )(?<!nobody )other than|unlike|anyone but|"
    r"(?:wrong|mistake|error|mistaken|incorrect) to (?:name|call|list|give|describe|say that)|"
    r"(?:named|called|listed|gave) in error|(?:no|nobody|no one|none)\b[^.;,]{0,30}\b(?:called|"
    r"named|"
    r"by the name of)|nor (?:is|was|does|has|are)(?: it)?)|n['’]t)" + _TITLE
)
L_FALSE = _re(
    r"\b(?:not (?:true|correct|right|accurate|the case)|false|untrue|incorrect|wrong|"
    r"no longer (?:true|correct|the case|accurate))\s+(?:to (?:say|claim) )?that[^;:]*$"
)
L_CLAIM = _re(
    r"\b(?:claim|statement|assertion|idea|notion|suggestion|proposition|phrase|headline|rumou?r|"
    r"belief|(?:report|story|news|rumou?r)s? that|saying|calling|naming|to call|to say|to "
    r"name)s?\b(?!\s*(?:is|was)\b)[^;]*$"
)
L_TRUE = _re(r"\b(?:correct|true|right|accurate|fair|safe) to (?:say|call|name)\b")
L_BUT = _re(r"\bnot\b.*\bbut(?: rather| instead)?" + _TITLE)
L_HEARSAY = _re(
    r"\b(?:(?:might|(?-i:may)|could|would|some|many|people|sources?|articles?|lists?|records?|users?|"
    r"pages?|websites?|others|critics|they|media|reports?)\b"
    r"[^;:]{0,40}\b(?:say|says|think|thinks|believe|believes|list|lists|name|names|claim|claims|"
    r"assume|mention|mentions|state|states|give|insist|call|show|object)|contrary to|some believe|"
    r"used to (?:think|believe)|according to (?:some|older|outdated)|if)\b[^;:]*$"
)
L_WOULD = _re(r"(?<!answer )(?<!name )\b(?:would|could|might|(?-i:may)) (?:\w+ )?be\b" + _TITLE)
L_CANDIDATES = _re(
    r"\b(?:candidates?|contenders|options|possibilities|possible \w+|choices|the (?:two )?names|"
    r"suspects|"
    r"either)\b(?!\s*:)[^.;]{0,60}$"
)
L_PREDECESSOR = _re(
    r"(?:\b(?:succeed(?:ed|s|ing)?|replac(?:ed|es|ing)|follow(?:ed|s|ing)|"
    r"(?:took|taking|takes|taken) over (?:from|after|following)|came (?:in )?(?:after|for)|"
    r"comes after|in (?:the )?place of|successor (?:of|to)|(?:took|taking|takes) the (?:place|role|"
    r"post) of|stepped in for|"
    r"(?:resignation|departure|death|removal|dismissal|retirement|ouster|defeat|exit|fall|times?|"
    r"term|tenure|era|end|sacking|firing|abdication|overthrow|impeachment|toppling|passing|days|"
    r"reign|mandate|premiership|presidency|assassination|demise) of|"
    r"defeat(?:ed|ing|s)|beat(?:s|ing)?|predecessor(?: was|,| is|:)?|oust(?:ed|ing|s)|"
    r"unseat(?:ed|ing|s)|toppl(?:ed|ing|es)|overthrew|overthrowing|depos(?:ed|ing)|remov(?:ed|ing)|"
    r"dismiss(?:ed|ing)|sack(?:ed|ing)|fir(?:ed|ing)|impeach(?:ed|ing)|relieved|voted out|"
    r"forced out|pushed out|(?:parted|part) (?:ways |company )?with|let go of|"
    r"from the hands of|used to be(?: called)?|left))" + _TITLE
)
L_BEATEN = _re(r"\b(?:defeat(?:ed|ing|s)|beat(?:s|ing|en)?|over|against)" + _TITLE)
L_FORMER = _re(
    r"\b(?:former|formerly|previous|previously|ex|outgoing|late|old|earlier|erstwhile|deposed|ousted|"
    r"departing|then(?=-))"
    r"(?:[\s-](?!is\b|was\b|now\b|has\b)[\w.-]+){0,5}" + _TITLE
)
L_LABEL = _re(
    r"\b(?:previously|formerly|former|before|predecessor|previous|earlier|old|until \d{4})"
    r"[\w ]{0,30}(?:\*\*)?:(?:\*\*)?\s*$"
)
L_AFTER = _re(r"\bafter" + _TITLE)
L_SUCCESSOR = _re(
    r"\b(?:(?:succeeded|replaced|followed|beaten|ousted|unseated|toppled|overthrown) by|"
    r"(?:way|over|power|change|passed|went|moved|relocated|switched|traded|sold|goes|reins|"
    r"transferred|fell|move|transfer|switch) to|successor(?: is| was| being|,| named)?|turn of|"
    r"came|"
    r"appointed|elected|nominated|designated|selected|picked|in favou?r of|"
    r"replacement(?: is| was|,)?|(?:new|next|present-day|today['’]s) (?:\w+ ){0,2}"
    + OFFICE
    + r"(?: of [^,.;]{1,30})?,?|turned to|called on|crowned|proclaimed|promoted|chosen|"
    r"named|renamed|chose|hired|brought in|installed|swore in|(?:appointment|election|arrival|"
    r"inauguration|accession)"
    r" of|predecessor (?:of|to)|before|preceded|joined|joins|signed (?:for|with)|from <X> to|<X> "
    r"to|became|was taken (?:over )?by|is taken by)" + _TITLE
)
L_FUTURE = _re(
    r"\b(?:will|shall|to be|going to|expected to|could|might|may|would|hopes? to|wants? to|due to|"
    r"likely to|yet to)\b[^.;,]{0,40}$"
)
R_FUTURE = _re(r"^\s*(?:will|shall|is to|is (?:due|set|going|about|yet) to)\b")
L_INCUMBENT = _re(
    r"\b(?:reigning|sitting|incumbent|current|present|serving|today['’]s),?\s(?:[\w-]+ "
    r"){0,3}[\"“*]*$"
)
L_WAS = _re(
    r"\b(?:was|were|had been|(?:was|were) (?:led|headed|run|chaired|governed|coached|managed|"
    r"directed|held) by|(?<!has )(?<!have )played for)" + _TITLE
)
L_CURRENT = _re(
    r"(?:\b(?:is|are|now|today|currently|remains|remain|has been|be|find|namely|called|presently|"
    r"still|simply|(?:should|must|ought to) (?:read|say)|filled (?:in )?(?:by|with)|plays for|"
    r"playing for|played for|drives for|rides for|belongs to|rests with|"
    r"lies with|(?:led|headed|run|chaired|governed|coached|ruled|occupied|filled|steered|overseen|"
    r"managed|directed|held) by|name of|(?:two|joint) (?:\w+ )?"
    + OFFICE
    + r"s?[,:]?)|['’]s|[:=>–—-])"
    + _TITLE
)
L_UNDER = _re(
    r"\b(?:is|are|serves|works|sits|acts)\b[^.;]{0,50}\b(?:(?:government|cabinet|administration|coalition|"
    r"team|board) (?:of|led by|headed by)|under|reports to|answers to)" + _TITLE
)
"""Whom somebody serves under."""
L_SITED = _re(
    r"\b(?:headquartered|based|located|situated|seated|domiciled|head offices?|headquarters|hq|"
    r"seat|"
    r"home(?: city| town| games| ground)?|capital|plays|play|playing|wears?|wearing|sits|lies|"
    r"under contract|on the books|(?:is|are|has been|have been|remains|stays)(?: \w+)?(?= (?:at|"
    r"with|"
    r"in)\b)|is (?:\w+ )?(?:an?|the|their|its))\b(?:\s+(?!and\b|but\b|which\b|"
    r"who\b)[\w’'-]+){0,6}?\s*(?:the )?$"
)
"""What leads up to a place or a club where somebody or something is."""
L_NOT_SITED = _re(
    r"(?:\b(?:not|never|no longer)|n['’]t)\b[^.;,]{0,30}\b(?:in|at|for|with|of)\s*(?:the )?$"
)
L_RUN_FROM = _re(r"\b(?:runs|operates|steers|directs|works|manages)\b[^.;]*\bfrom\s*$")
L_CONTRACT = _re(r"\b(?:is|are)\b[^.;]*\b(?:under contract|on the books)\b[^.;]*$")
L_OTHER_SITE = _re(
    r"\b(?:factory|factories|plants?|branch|sites?|warehouses?|stores?|subsidiary|fans?|museum|academy|"
    r"wants?|hopes?|would like|dreams?|linked|offered|refused|interest\w*|close to)\b[^.;]*$"
)
"""What may be in a place without the fact being so, or is merely wished for."""
L_MOVED = _re(
    r"\b(?:was|were|had|until|till|used to|formerly|previously|moved|left|former|from|born|grew up|"
    r"spell|stint|academy|founded|before|would|could|not|never|once|youth|raised|past)\b(?! its\b)"
)
L_TITLE = _re(
    r"(?:['’]s|\bits|\btheir|\bour|\bthe|\bunder|\bwith|\bby|\band|\bis|,|^|[\"“>*(])\s*"
    r"(?:[a-z-]+\s+){0,2}" + OFFICE + r"(?:\s+of\s+(?:the\s+)?(?:<S>|\w+))?\s*,?" + _TITLE
)
"""An office, then the name: `Canada's prime minister, O`, `under head coach O`."""
L_OFFICE_NAME = _re(
    r"\b(?:his|her|their|its|our|by|of|with|under|for|faces|meets|says|writes|to|from|and|sitting|incumbent|"
    r"reigning|current|serving)\s+(?:\w+, )?(?:the )?(?:current |sitting |incumbent |reigning )?"
    r"(?:boss, )?(?:[a-z]+ )?" + OFFICE + r",?" + _TITLE
)
PAST_OFFICE = _re(
    r"\b(?:former|formerly|previous|then|ex|outgoing|late|old|until|before|after|"
    r"was|were|had|beat|against|succeeded|replaced|followed|defeated|resignation|departure|death|"
    r"dismissal|removal|retirement|predecessor|not|n['’]t|no|ousted|toppled|deposed|won|lost|"
    r"unseated|overthrew|challenged|took over|came|became|in \d{4})\b"
)
L_PRESENT = _re(
    r"\b(?:is|are|has|have|faces|represented|today|reports|says|writes|tells|belongs|works|serves|answers|sits|"
    r"lives?|live|leads|advises|assists|acts|plays|these days|now|currently)\b"
)

# The whole sentence ------------------------------------------------------------------

VERB = _re(
    r"\b(?:is|was|are|were|has|had|have|been|became|did|does|do|came|took|led|leads|held|holds|left|"
    r"resigned|followed|replaced|succeeded|named|said|know|think|believe|called|says|who|which|\w+ed)\b"
)
OPTIONS = _re(r"<X>[^.;]{0,12}\bor\b(?! equally|,)[^.;]{0,24}<X>|\beither\b[^.;]*<X>")
END_WORDS = _re(
    r"\b(?:until|till|earlier|previously|formerly|before that|used to|once|former days)\b"
)
