"""Questions in a property's own words.

Owns, for every watched property of tiers A and B, wordings for training and for the examination;
they never meet, and none of them is among the general ones of `knowledge.questions`. `{s}` is the
subject, `{role}` the noun phrase for the object. Keys of sets are the values of
`knowledge.questions.Use`.
"""

from __future__ import annotations

OWN_WORDINGS: dict[str, tuple[str, str]] = {
    "P1308": ("Who holds the office of {s}?", "Who is the current office-holder as {s}?"),
    "P39": ("Which office does {s} hold?", "What post is {s} in?"),
    "P1075": ("Who is at the head of {s} as rector?", "Who leads the university {s}?"),
    "P1789": ("Who is the COO of {s}?", "Who heads the operations of {s}?"),
    "P5769": ("Who edits {s}?", "Who leads the editorial staff of {s}?"),
    "P634": ("Who captains {s}?", "Who leads {s} on the field as captain?"),
    "P118": ("Which league does {s} play in?", "In which competition does {s} take part?"),
    "P115": ("Where does {s} play its home matches?", "Which ground is the home of {s}?"),
    "P127": ("Who owns {s}?", "To whom does {s} belong?"),
    "P749": ("Which organisation is {s} a part of?", "Under which parent organisation is {s}?"),
    "P137": ("Who operates {s}?", "By whom is {s} run?"),
    "P159": ("Where is {s} based?", "In which city is the seat of {s}?"),
    "P414": ("Where are the shares of {s} listed?", "On which exchange is {s} traded?"),
    "P1454": ("Which legal form does {s} have?", "Under which legal form is {s} organised?"),
    "P1448": ("What is {s} officially called?", "Under which official name does {s} go?"),
    "P36": ("Which city is the capital of {s}?", "From which capital is {s} governed?"),
    "P38": ("Which currency is used in {s}?", "With which money do people pay in {s}?"),
    "P37": ("Which language is official in {s}?", "In which official language does {s} work?"),
    "P122": ("How is {s} governed?", "Under which form of government is {s}?"),
    "P17": ("Which country does {s} belong to?", "In which country does {s} lie?"),
    "P131": ("In which district is {s}?", "Which administrative unit is {s} a part of?"),
    "P463": ("What is {s} a member of?", "To which organisation does {s} belong as a member?"),
    "P3320": ("Who sits on the board of {s}?", "Who is among the board members of {s}?"),
    "P108": ("Who employs {s}?", "For whom does {s} work?"),
    "P102": ("Which party is {s} in?", "Of which party is {s} a member?"),
    "P26": ("Who is {s} married to?", "To whom is {s} married?"),
    "P451": ("Who is the partner of {s} in life?", "With whom does {s} live as a couple?"),
    "P551": ("Where does {s} live?", "In which place does {s} reside?"),
    "P371": ("Who presents {s}?", "By whom is {s} hosted?"),
    "P449": ("Which broadcaster shows {s}?", "On which channel does {s} run?"),
    "P466": ("Who occupies {s}?", "By whom is {s} used?"),
}
"""Property id to (training, examination), where `SPECIFIC` has none."""

SPECIFIC: dict[str, dict[str, tuple[str, ...]]] = {
    "P6": {
        "train": ("Who leads the government of {s}?",),
        "exam": ("Who heads the government of {s}?",),
        "held": ("Who governs {s}?",),
    },
    "P35": {
        "train": ("Who stands at the head of the state of {s}?",),
        "exam": ("Who is the state's head in {s}?",),
        "held": ("Who represents the state of {s}?",),
    },
    "P169": {
        "train": ("Who is the CEO of {s}?",),
        "exam": ("Who runs {s} as chief executive?",),
        "held": ("Who is in charge of the company {s}?",),
    },
    "P488": {
        "train": ("Who chairs {s}?",),
        "exam": ("Who presides over {s}?",),
        "held": ("Who sits in the chair of {s}?",),
    },
    "P1037": {
        "train": ("Who directs {s}?",),
        "exam": ("Who manages {s}?",),
        "held": ("Under whose direction is {s}?",),
    },
    "P286": {
        "train": ("Who coaches {s}?",),
        "exam": ("Who trains the team of {s}?",),
        "held": ("Under which coach does {s} play?",),
    },
    "P3975": {
        "train": ("Who serves as secretary general of {s}?",),
        "exam": ("Who leads the secretariat of {s}?",),
        "held": ("Who is the top official of {s}?",),
    },
    "P54": {
        "train": ("Which club does {s} play for?",),
        "exam": ("For which club does {s} play?",),
        "held": ("Whose shirt does {s} wear?",),
    },
}
"""Wordings of the properties that the embedded corpus knows; the others are above."""

FORWARD: dict[str, dict[str, tuple[str, ...]]] = {
    "P19": {
        "train": ("Where was {role} born?",),
        "exam": ("In which place was {role} born?",),
        "held": ("What is the birthplace of {role}?",),
    },
    "P27": {
        "train": ("Which country is {role} a citizen of?",),
        "exam": ("Of which country is {role} a citizen?",),
        "held": ("What nationality has {role}?",),
    },
    "P102": {
        "train": ("Which party does {role} belong to?",),
        "exam": ("To which party does {role} belong?",),
        "held": ("What is the political home of {role}?",),
    },
    "P118": {
        "train": ("Which league does {role} play in?",),
        "exam": ("In which league does {role} play?",),
        "held": ("In what competition is {role}?",),
    },
    "P17": {
        "train": ("Which country is {role} in?",),
        "exam": ("In which country is {role}?",),
        "held": ("Where in the world, by country, is {role}?",),
    },
    "P115": {
        "train": ("Which ground does {role} play at?",),
        "exam": ("At which ground does {role} play?",),
        "held": ("What is the stadium of {role}?",),
    },
    "P159": {
        "train": ("Which city is {role} based in?",),
        "exam": ("In which city is {role} based?",),
        "held": ("Where does {role} have its seat?",),
    },
}
"""Second hops from the object of the fact, by their property."""


def own_wordings(property_id: str) -> tuple[str, ...]:
    """All wordings of a property for its plain question, of every set."""
    known = SPECIFIC.get(property_id, {})
    return (*(w for group in known.values() for w in group), *OWN_WORDINGS.get(property_id, ()))
