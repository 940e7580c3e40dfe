"""Questions in a property's own words, for every watched property of tiers A and B.

Owns one wording for training and one for the examination each; they never meet, and none of them is
in `knowledge.questions`. `{s}` is the subject. Properties that have wordings of their own there are
left out here.
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
"""Property id to (training, examination)."""
