"""Causes in articles as an encyclopaedia writes them: long leads, other offices, other years.

The texts are written for this test in the manner of real articles, about changes that took place;
each has sentences that a hasty reader takes for the cause. The recorded data has no articles.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from agents.proposals import Proposal
from daemon.bench.curator_wiki import Wiki, curator
from knowledge.facts import ChangeKind, Date, FactChange
from knowledge.narrative import ClaimKind
from knowledge.rendering import UNKNOWN_CAUSE_FORMS


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A change with the articles about its three items, and the cause that they state."""

    subject: str
    property: str
    old: str
    new: str
    ended: str
    started: str
    cause: str | None
    about_old: str = ""
    about_new: str = ""
    about_subject: str = ""


CASES = (
    Told(
        subject="United Kingdom",
        property="P6",
        old="Liz Truss",
        new="Rishi Sunak",
        ended="2022-10-25",
        started="2022-10-25",
        cause="resignation",
        about_old="Mary Elizabeth Truss (born 26 July 1975) is a British politician who was Prime "
        "Minister of the United Kingdom for seven weeks in 2022. She had been Foreign Secretary "
        "under Boris Johnson, who announced his resignation in July 2022. Her Chancellor, Kwasi "
        "Kwarteng, was dismissed on 14 October 2022 after a budget that unsettled the markets.\n"
        "Facing criticism from her own benches, Truss resigned as prime minister on 25 October "
        "2022 and was succeeded by Rishi Sunak. She lost her seat in the 2024 general election.",
        about_new="Rishi Sunak (born 12 May 1980) is a British politician. He became prime "
        "minister after Truss stood down, and served until the 2024 general election.",
    ),
    Told(
        subject="Japan",
        property="P6",
        old="Shinzo Abe",
        new="Yoshihide Suga",
        ended="2020-09-16",
        started="2020-09-16",
        cause="resignation",
        about_old="Shinzo Abe (21 September 1954 – 8 July 2022) was a Japanese politician. His "
        "first term began in 2006; he resigned after a year. He returned to office in 2012.\n"
        "In August 2020 his old illness came back, and Abe stepped down as prime minister in "
        "September 2020. On 8 July 2022 Abe was assassinated in Nara while giving a speech.",
    ),
    Told(
        subject="United Kingdom",
        property="P35",
        old="Elizabeth II",
        new="Charles III",
        ended="2022-09-08",
        started="2022-09-08",
        cause="death",
        about_old="Elizabeth II (21 April 1926 – 8 September 2022) was Queen of the United Kingdom "
        "from 1952. After the death of her father in February 1952, Elizabeth became queen. Her "
        "husband, Prince Philip, died in April 2021. She died at Balmoral Castle on 8 September "
        "2022, at the age of 96, and was succeeded by her eldest child, Charles III.",
    ),
    Told(
        subject="Chelsea F.C.",
        property="P286",
        old="Thomas Tuchel",
        new="Graham Potter",
        ended="2022-09-07",
        started="2022-09-08",
        cause="dismissal",
        about_old="Thomas Tuchel (born 29 August 1973) is a German football coach. He was "
        "dismissed by Paris Saint-Germain in December 2020. He joined Chelsea in January 2021, "
        "replacing Frank Lampard, who had been sacked, and won the Champions League. A poor start "
        "to the 2022–23 season followed, and Tuchel was sacked on 7 September 2022.",
        about_subject="Chelsea Football Club is a professional football club based in Fulham, "
        "London. The club was sold to a consortium in May 2022.",
    ),
    Told(
        subject="The Walt Disney Company",
        property="P169",
        old="Bob Chapek",
        new="Bob Iger",
        ended="2022-11-20",
        started="2022-11-20",
        cause="dismissal",
        about_old="Robert A. Chapek is an American businessman. He succeeded Bob Iger in February "
        "2020. In November 2022 Chapek was fired by the board of The Walt Disney Company, which "
        "called Bob Iger back.",
        about_new="Bob Iger (born February 10, 1951) is an American businessman. He retired in "
        "December 2021, and returned as chief executive in November 2022.",
    ),
    Told(
        subject="Peru",
        property="P35",
        old="Pedro Castillo",
        new="Dina Boluarte",
        ended="2022-12-07",
        started="2022-12-07",
        cause="impeachment",
        about_old="Pedro Castillo (born 19 October 1969) is a Peruvian politician. He survived a "
        "motion of censure in March 2022. On 7 December 2022 he announced that he would dissolve "
        "Congress; Castillo was impeached within hours and succeeded by Dina Boluarte. The "
        "prime minister had resigned in November 2022.",
    ),
    Told(
        subject="Pakistan",
        property="P6",
        old="Imran Khan",
        new="Shehbaz Sharif",
        ended="2022-04-10",
        started="2022-04-11",
        cause="vote of no confidence",
        about_old="Imran Khan (born 5 October 1952) is a Pakistani politician and a cricketer. "
        "He retired from cricket in 1992. In April 2022 Khan was removed through a no-confidence "
        "motion, the first prime minister of Pakistan to leave office in that way.",
    ),
    Told(
        subject="Sri Lanka",
        property="P35",
        old="Gotabaya Rajapaksa",
        new="Ranil Wickremesinghe",
        ended="2022-07-14",
        started="2022-07-14",
        cause="resignation",
        about_old="Gotabaya Rajapaksa (born 20 June 1949) was the head of state of Sri Lanka. "
        "Protesters called for his resignation from March 2022. His brother Mahinda, the prime "
        "minister, resigned in May 2022. Rajapaksa fled on 13 July 2022 and tendered his "
        "resignation on 14 July 2022.",
    ),
    Told(
        subject="Gabon",
        property="P35",
        old="Ali Bongo Ondimba",
        new="Brice Oligui Nguema",
        ended="2023-08-30",
        started="2023-09-04",
        cause="coup",
        about_old="Ali Bongo Ondimba (born 9 February 1959) is a Gabonese politician. He became "
        "head of state of Gabon after the death of his father, Omar Bongo, in 2009. In 2019 he "
        "survived an attempted coup. On 30 August 2023, shortly after an election, Bongo Ondimba "
        "was deposed in a coup.",
    ),
    Told(
        subject="Microsoft",
        property="P169",
        old="Steve Ballmer",
        new="Satya Nadella",
        ended="2014-02-04",
        started="2014-02-04",
        cause="retirement",
        about_old="Steven Anthony Ballmer (born March 24, 1956) is an American businessman. In "
        "August 2013 the company announced that he would retire within twelve months. Ballmer "
        "retired on 4 February 2014 and was followed by Satya Nadella. He bought a basketball "
        "team later in 2014.",
    ),
    Told(
        subject="Rome",
        property="P6",
        old="Virginia Raggi",
        new="Roberto Gualtieri",
        ended="2021-10-21",
        started="2021-10-21",
        cause="election defeat",
        about_old="Virginia Raggi (born 18 July 1978) is an Italian lawyer and politician. She was "
        "the first woman to lead the government of Rome. Her predecessor had been dismissed in "
        "2015. Raggi lost the 2021 municipal election.",
    ),
    Told(
        subject="New Zealand",
        property="P6",
        old="Jacinda Ardern",
        new="Chris Hipkins",
        ended="2023-01-25",
        started="2023-01-25",
        cause="resignation",
        about_subject="New Zealand is an island country in the southwestern Pacific. Following "
        "the resignation of Jacinda Ardern in January 2023, Chris Hipkins became prime minister.",
    ),
    # no reason is stated, whatever else ended, fell or was lost
    Told(
        subject="Germany",
        property="P6",
        old="Angela Merkel",
        new="Olaf Scholz",
        ended="2021-12-08",
        started="2021-12-08",
        cause=None,
        about_old="Angela Merkel (born 17 July 1954) is a German politician. In 2018 she stepped "
        "down as leader of her party and said that she would not seek another term. Her husband "
        "retired in 2021. Two of her ministers resigned in the spring of 2021. She was succeeded "
        "by Olaf Scholz.",
        about_new="Olaf Scholz (born 14 June 1958) is a German politician. He took office on "
        "8 December 2021. His coalition collapsed in 2024, and he lost a vote of confidence.",
    ),
    Told(
        subject="British Museum",
        property="P1037",
        old="Hartwig Fischer",
        new="Nicholas Cullinan",
        ended="2024-03-28",
        started="2024-06-10",
        cause=None,
        about_old="Hartwig Fischer (born 1962) is a German art historian. Trustees called for his "
        "resignation in 2024 and he refused. A curator of the museum was dismissed in 2023.",
        about_subject="The British Museum is a public museum in London. Its deputy director "
        "stepped down in 2024. The theft of objects became known in 2023.",
    ),
    Told(
        subject="Netherlands",
        property="P6",
        old="Mark Rutte",
        new="Dick Schoof",
        ended="2024-07-02",
        started="2024-07-02",
        cause=None,
        about_old="Mark Rutte (born 14 February 1967) is a Dutch politician. His third cabinet "
        "resigned in January 2021. Opposition leaders demanded in 2024 that Rutte resign at once. "
        "He might retire from politics in 2024, papers wrote.",
    ),
)


def proposed(told: Told) -> Proposal:
    wiki = Wiki()
    subject = wiki.item("Q101", told.subject, article=told.about_subject)
    old = wiki.item("Q102", told.old, article=told.about_old)
    new = wiki.item("Q103", told.new, article=told.about_new)
    before = wiki.state(subject, told.property, old, P582=told.ended)
    after = wiki.state(subject, told.property, new, rank="preferred", P580=told.started)
    change = FactChange(
        subject=wiki.entity(subject),
        property=told.property,
        old=wiki.entity(old),
        new=wiki.entity(new),
        kind=ChangeKind.SUCCESSION,
        old_statement=before,
        new_statement=after,
        ended=Date.parse(told.ended),
        started=Date.parse(told.started),
    )
    return asyncio.run(curator(wiki, InMemorySaver()).propose(change))


@pytest.mark.parametrize("told", CASES, ids=lambda told: told.old)
def test_the_cause_is_what_the_article_states_and_nothing_else(told: Told) -> None:
    proposal = proposed(told)
    narrative = proposal.unit.narrative
    assert proposal.clean and narrative and narrative.cause == told.cause
    claim = narrative.claim(ClaimKind.CAUSE)
    if told.cause is None:
        assert claim.text in UNKNOWN_CAUSE_FORMS and claim.spans == ()
        return
    texts = {e.id: e.text for e in proposal.evidence}
    for span in claim.spans:
        assert texts[span.evidence_id][span.start : span.end] == span.text
    quoted = " ".join(span.text for span in claim.spans)
    assert told.old.split()[-1] in quoted or "She died" in quoted
