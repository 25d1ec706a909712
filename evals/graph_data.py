"""A caller's graph for the bench: planted relations, each with a question, among thousands of others."""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np

from echoic.memory.embedding.embedder import Embedder, Vector
from evals.sample_words import LEARNED, WORDS

CALLER = "Maya"
BEGAN = datetime(2024, 1, 1, tzinfo=UTC)
CLOSED = 0.2
"""Share of the others that are no longer true."""
ON_CALLER = 0.5
"""Share of the others that go out from the caller."""

# source | relation | target | the sentence | a question
# A question asks in other words, about a neighbour of what it names, or by a name.
PLANTED = """
Ines|ATTENDS|Oakfield Primary|Maya's daughter Ines attends Oakfield Primary
    |What was my kid's school called again?
Maya|ALLERGIC_TO|penicillin|Maya breaks out in hives from penicillin|Which medicine must I stay away from?
Maya|DRIVES|Skoda Octavia|Maya drives a grey Skoda Octavia|What car do I own?
Tomas|MARRIED_TO|Maya|Tomas is Maya's husband since 2011|Who is my spouse?
Maya|WORKS_FOR|Northwind Logistics|Maya is employed by Northwind Logistics
    |Which company do I have my job with?
Priya|INTRODUCED|Dr. Okafor|Priya put Maya in touch with Dr. Okafor, the dentist
    |Who recommended the person that looks after my teeth?
Maya|SLEEPS_BADLY|summer heat|Maya can hardly sleep when it is hot|Why am I so tired in July?
Maya|BANKS_WITH|Caixa|Maya keeps her savings at Caixa|Where is my money?
Biscuit|IS_A|beagle|Biscuit the beagle belongs to Maya|What breed is my dog?
Maya|AFRAID_OF|heights|Maya is terrified of heights|Is there something that scares me, ladders maybe?
Maya|VEGETARIAN|vegetarian food|Maya has eaten no meat since university|Could I have the steak?
Rafael|BROTHER_OF|Maya|Rafael is Maya's younger brother|What is the name of my sibling?
Rafael|SERVES_IN|merchant navy|Rafael works on a container ship|What does my sibling do for a living?
Maya|PLAYS|cello|Maya plays the cello in an amateur orchestra|Which instrument do I practise?
Maya|BORN_ON|3 March|Maya's birthday is the third of March|When should people congratulate me?
Maya|LIVES_IN|Porto|Maya has her home in Porto|In which city is my flat?
Maya|PAYS_RENT_TO|Mrs. Duarte|Mrs. Duarte is Maya's landlady|To whom do I send the monthly housing payment?
Maya|WEARS|hearing aid|Maya wears a hearing aid on the left side|Is there a problem with one of my ears?
Maya|SUPPORTS|Boavista|Maya cheers for Boavista|What is my favourite football team?
Maya|RUNS|half marathon|Maya is training for a half marathon|Which race am I preparing for?
Olga|NANNY_OF|Ines|Olga minds Ines on weekday afternoons
    |Who looks after the little one when I'm at the office?
Maya|TAKES|levothyroxine|Maya swallows levothyroxine every morning|What pill do I have at breakfast?
Maya|SPEAKS|Portuguese|Maya's mother tongue is Portuguese|Which language did I grow up with?
Maya|WIFI|guest network|The guest network at Maya's house is called Mandarin
    |What do visitors connect their phones to?
Maya|STUDIED|marine biology|Maya holds a degree in marine biology|What was my subject at university?
Maya|DISLIKES|coriander|Maya thinks coriander tastes of soap|Is there a herb I can't stand?
Leonor|MOTHER_OF|Maya|Leonor, Maya's mum, lives in a care home in Braga|Where does my mother stay nowadays?
Maya|VOLUNTEERS_AT|animal shelter|Maya walks dogs for the animal shelter on Sundays
    |What charity work do I do at weekends?
Maya|COLLECTS|fountain pens|Maya has forty fountain pens in a drawer
    |What would be a good present for my collection?
Maya|BROKE|wrist|Maya fractured her wrist skiing in 2022|Which bone did I injure on the slopes?
Maya|SAVES_FOR|sailing boat|Maya puts money aside to buy a small sailing boat|What am I saving up for?
Maya|GYM|Corpo Livre|Maya works out at Corpo Livre before breakfast|Where do I exercise in the mornings?
Maya|READS|Scandinavian crime novels|Maya falls asleep over Scandinavian crime novels
    |What kind of books do I like?
Henrique|BOSS_OF|Maya|Maya reports to Henrique|Who is my manager?
Maya|MEETS|book club|The book club gathers at Maya's every second Thursday
    |Which evening do friends come over to discuss literature?
Maya|INSURED_BY|Fidelidade|Maya's house is insured by Fidelidade
    |Whom do I call after a burst pipe to claim the damage?
Maya|HATES|phone calls before nine|Maya does not want to be rung before nine
    |At what hour may you phone me at the earliest?
Ines|ALLERGIC_TO|walnuts|Walnuts make Ines's throat swell|Is there a nut my daughter can't have?
Maya|TRAVELS_TO|Azores|Maya booked a fortnight in the Azores for September|What is my next holiday?
Maya|KEEPS|spare key|The spare key lies with the florist downstairs|I'm locked out, who could let me in?
Duarte Motors|SERVICES|Skoda Octavia|Duarte Motors has the Octavia in every autumn
    |Which garage takes care of my car?
Sofia|SISTER_OF|Henrique|Sofia is Henrique's sister|Does my manager have any siblings?
Northwind Logistics|BASED_IN|Matosinhos|Northwind Logistics sits in Matosinhos|In which town is my employer?
Oakfield Primary|ENDS_AT|half past three|Oakfield Primary lets out at half past three
    |When must I pick up my daughter after lessons?
Biscuit|EATS|salmon kibble|Biscuit only takes salmon kibble|What do I buy for the dog to eat?
Boavista|PLAYS_ON|Sunday|Boavista is on the pitch again on Sunday
    |When does my favourite football team have its next match?
Quintela|MENDS|bandoneon|Quintela mends the bandoneon|What was it about Quintela?
Maya|HAS_PASSPORT|C4471902|Maya's passport is number C4471902|Is C4471902 the number of my passport?
Zdenka|LIVES_IN|Olomouc|Zdenka settled in Olomouc|Which town is Zdenka in now?
Maya|EATS|pastéis de nata|Maya can manage four pastéis de nata|How many pastéis de nata do I manage?
Ferrão|TEACHES|Ines|Ferrão teaches Ines the violin|Who is Ferrão?
Maya|OWES|Teodora|Maya owes Teodora sixty euros|How much do I still owe Teodora?
""".strip().replace("\n    |", "|")

VERBS = "KNOWS OWNS LIKES VISITS ORDERED PLANS MET LIVES_IN WORKS_AS BELONGS_TO".split()


@dataclass(frozen=True, slots=True)
class Edge:
    """A relation as a store gets it; times as Graphiti has them."""

    edge_id: UUID
    source: str
    target: str
    name: str
    fact: str
    valid_at: datetime
    invalid_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Planted:
    """A question and the one relation that answers it."""

    question: str
    edge_id: UUID


@dataclass(frozen=True, slots=True)
class History:
    """One caller's graph with its vectors, and what is asked of it."""

    edges: list[Edge]
    vectors: Vector
    planted: list[Planted]
    asked: Vector
    """Vectors of the questions."""


async def history(embedder: Embedder, count: int, seed: int = 5) -> History:
    """`count` relations of one caller, the planted ones among them, embedded for real."""
    choose = random.Random(seed)
    planted, questions = [], []
    for line in PLANTED.splitlines():
        source, name, target, fact, question = line.split("|")
        planted.append(_edge(choose, source, target, name, fact))
        questions.append(Planted(question, planted[-1].edge_id))
    edges = planted + others(count - len(planted), choose)
    choose.shuffle(edges)
    vectors = await embedder.embed_batch([edge.fact for edge in edges])
    asked = np.stack([await embedder.embed(one.question) for one in questions])
    return History(edges, vectors, questions, asked)


def others(count: int, choose: random.Random) -> list[Edge]:
    """Relations that answer none of the questions, no sentence twice."""
    templates = LEARNED.strip().splitlines()
    edges: dict[str, Edge] = {}
    while len(edges) < count:
        used: list[str] = []
        fact = _filled(choose.choice(templates), choose, used)
        if fact not in edges:
            person = choose.choice(WORDS["person"])
            source = CALLER if choose.random() < ON_CALLER else f"{person} {choose.choice(WORDS['place'])}"
            target = f"{used[0]} {len(edges) % 97}" if used else choose.choice(WORDS["thing"])
            fact = f"{source} {fact[0].lower()}{fact[1:]}"
            ended = choose.random() < CLOSED
            edges[fact] = _edge(choose, source, target, choose.choice(VERBS), fact, ended)
    return list(edges.values())


def nodes_of(edges: Sequence[Edge]) -> list[str]:
    """The names of all that is related."""
    return sorted({name for edge in edges for name in (edge.source, edge.target)})


def _edge(choose: random.Random, source: str, target: str, name: str, fact: str, ended: bool = False) -> Edge:
    began = BEGAN + timedelta(hours=choose.randrange(15_000))
    until = began + timedelta(days=40) if ended else None
    return Edge(UUID(int=choose.getrandbits(128), version=4), source, target, name, fact, began, until)


def _filled(template: str, choose: random.Random, used: list[str]) -> str:
    def word(match: re.Match[str]) -> str:
        used.append(choose.choice(WORDS[match[1]]))
        return used[-1]

    return re.sub(r"\{(\w+)\}", word, template)
