"""Everyday sentences of callers for the bench: what was said, what was learned, and questions.

No question comes twice.
"""

import random
import re
from collections.abc import Iterator

WORDS = {
    "person": (
        "Anna Bruno Chiara David Elif Farid Grace Hugo Ines Jonas "
        "Kemal Lucia Marta Nadia Omar Paula Quentin Rosa Samir Tess"
    ).split(),
    "kin": (
        "sister;brother;mother;father;aunt;uncle;cousin;neighbour;"
        "grandmother;daughter;son;colleague;landlord;boss"
    ).split(";"),
    "pet": "dog cat rabbit parrot hamster tortoise pony goldfish canary ferret".split(),
    "name": (
        "Biscuit Pepper Mango Luna Ziggy Clover Bandit Mocha Olive Rocket Pixel Truffle Waffles Juno Sesame"
    ).split(),
    "place": (
        "Lisbon Leeds Kyoto Bergen Porto Graz Ghent Malmo Turin "
        "Cork Bilbao Nantes Tartu Lugano Split Aarhus Cadiz Bremen"
    ).split(),
    "street": (
        "Mill Lane;Harbour Street;Oak Avenue;Station Road;"
        "Chapel Hill;Orchard Close;Bridge Street;Castle Square"
    ).split(";"),
    "job": (
        "nurse;carpenter;pilot;teacher;baker;plumber;translator;"
        "gardener;welder;accountant;vet;florist;bus driver;archivist"
    ).split(";"),
    "food": (
        "lasagne;lentil soup;rye bread;mushroom risotto;pancakes;"
        "sushi;goulash;apple pie;falafel;paella;ramen;dumplings"
    ).split(";"),
    "avoid": (
        "peanuts;shellfish;gluten;lactose;strawberries;sesame;penicillin;aspirin;eggs;mustard;celery;soya"
    ).split(";"),
    "hobby": (
        "climbing;pottery;chess;birdwatching;choir;sailing;"
        "knitting;astronomy;karate;fencing;beekeeping;watercolours"
    ).split(";"),
    "thing": (
        "dishwasher;bicycle;heat pump;laptop;sofa;greenhouse;"
        "boiler;camper van;piano;router;washing machine;kayak"
    ).split(";"),
    "colour": "blue green red yellow grey purple orange turquoise white brown".split(),
    "day": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split(),
    "month": "January February March April May June July August September October November December".split(),
    "hour": (
        "seven;half past eight;nine fifteen;ten;eleven thirty;noon;two;quarter to four;five;six thirty;eight"
    ).split(";"),
    "number": (
        "twelve nineteen twenty-three thirty-one forty forty-seven fifty-two sixty eighty-four ninety-six"
    ).split(),
    "event": (
        "wedding;christening;graduation;retirement party;house move;"
        "operation;job interview;marathon;school play;reunion"
    ).split(";"),
    "doctor": "dentist;eye doctor;physiotherapist;cardiologist;dermatologist;midwife;allergist".split(";"),
    "shop": "bakery;bike shop;pharmacy;garden centre;bookshop;hardware store;fish market;tailor".split(";"),
    "book": (
        "a book about lighthouses;a crime novel;the history of tea;"
        "a field guide to moths;poems;a travel diary;a cookbook"
    ).split(";"),
    "mood": "tired;over the moon;a bit worried;relieved;quite proud;nervous;sad;excited;fed up".split(";"),
}

SAID = """
My {kin} {person} moved to {place} in {month} and works there as a {job}.
We got a {pet} called {name}, and {name} sleeps on the {thing} all day.
I can't have {avoid}, it makes me ill, so please never suggest {food} with it.
The {thing} broke again on {day}, and the repair costs {number} euros.
I have an appointment with the {doctor} on {day} at {hour}.
{person} is coming over for the {event}, so I need {number} chairs by {day}.
I started {hobby} last {month}, every {day} evening at {hour}.
For the {event} I'd like to cook {food}, {person} loves that.
My new address is {number} {street} in {place}, we move in {month}.
I left my keys at the {shop} near {street}, so {person} had to let me in.
Honestly I'm {mood} about the {event}, my {kin} organises everything.
I'm reading {book} that {person} lent me, I'm on page {number}.
The {colour} {thing} is mine, the {colour} one belongs to my {kin}.
My {kin} is {number} in {month} and wants to go to {place} for it.
I used to work as a {job} in {place} before I became a {job}.
Could you remind me to call the {shop} about the {thing} on {day}?
{name} had to go to the vet on {day}, it was the {avoid} in the leftovers.
I take the {hour} train to {place} every {day}, unless {person} drives.
We painted the kitchen {colour}, and now the {thing} looks out of place.
My {kin} gave up {hobby} because of a knee, and took up {hobby} instead.
The password hint is the name of my first {pet}, that was {name}.
I ordered the {thing} in {colour}, it should arrive at {street} on {day}.
No, it was {person} who said that the {event} is in {place}, not me.
I don't like {food} any more, since {month} I eat {food} all the time.
The {doctor} told me to walk {number} minutes a day, so I walk to the {shop}.
"""

ANSWERED = """
That sounds lovely, I hope {person} enjoys the {event}.
I've noted the {doctor} on {day} at {hour}.
Oh no, poor {name}. Is the {pet} better now?
A {colour} {thing} would go well with that, I think.
Then let's find something without {avoid}: how about {food}?
I'll remind you on {day} to call the {shop}.
Shall I look up trains to {place} for {day}?
You said you were {mood} about it; how is it today?
{number} {street}, got it. When do you move?
{hobby} on {day} evening, that is a nice way to end the day.
"""

LEARNED = """
Has a {kin} named {person} who lives in {place} and works as a {job}
Owns a {pet} called {name}
Is allergic to {avoid}
Plays or practises {hobby} on {day} evenings
Lives at {number} {street} in {place}
Likes {food}, and cooks it for {person}
Has an appointment with the {doctor} on {day} at {hour}
Ordered a {colour} {thing}, to be delivered on {day}
Worked as a {job} in {place} before
Is preparing a {event} in {place} in {month}
Is reading {book} lent by {person}
The {thing} broke and its repair costs {number} euros
Goes to the {shop} near {street} on {day}
Felt {mood} about the {event} of {person}
{person} turns {number} in {month}
"""

ASKED = """
What did I tell you about {person} and the {event} in {place}?
When is my appointment with the {doctor}, was that {day} or {day}?
Which {thing} did I order, the {colour} one or the {colour} one?
What is the name of the {pet} that my {kin} {person} has in {place}?
Can I eat {food} with {avoid} when {person} cooks on {day}?
Where does my {kin} live now, is it still {place} or {place}?
How much was the repair of the {thing} at the {shop} in {month}?
Who lent me {book}, was it {person} or my {kin}?
What should I cook for the {event} on {day}, {person} doesn't like {food}.
Did I say at what time I go to {hobby} on {day}, or was it {hobby}?
Is {name} the {pet} of {person}, or the one from {street}?
What was I so {mood} about before the {event} in {month}?
How old will {person} be in {month}, and what did we plan in {place}?
Do you remember my old address, something like {number} {street} in {place}?
Which job did {person} have in {place}, was it {job} or {job}?
I need a present for my {kin} {person}, something with {hobby} perhaps, for {day}.
Tell me again what the {doctor} said about {avoid} and {hobby}.
Could you move the {event} from {day} to {day}, so that {person} can come from {place}?
Why did I give up {hobby} in {month}, did it have to do with the {thing}?
Please read me what I wanted from the {shop} for {name} and {person}.
"""


def said(count: int, seed: int = 1) -> list[str]:
    """Distinct sentences of callers."""
    return _distinct(SAID, count, seed)


def answered(count: int, seed: int = 2) -> list[str]:
    """Distinct replies of an agent."""
    return _distinct(ANSWERED, count, seed)


def learned(count: int, seed: int = 3) -> list[str]:
    """Distinct facts."""
    return _distinct(LEARNED, count, seed)


def questions(seed: int = 4) -> Iterator[str]:
    """Questions, none twice; the templates make 400,000."""
    return _filled(ASKED, seed)


def _distinct(templates: str, count: int, seed: int) -> list[str]:
    sentences = _filled(templates, seed)
    return [next(sentences) for _ in range(count)]


def _filled(templates: str, seed: int) -> Iterator[str]:
    choose = random.Random(seed)
    lines = templates.strip().splitlines()
    seen: set[str] = set()
    while True:
        sentence = re.sub(r"\{(\w+)\}", lambda slot: choose.choice(WORDS[slot[1]]), choose.choice(lines))
        if sentence not in seen:
            seen.add(sentence)
            yield sentence
