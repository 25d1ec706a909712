"""Recognises what a caller asks of their memory by plain English rules, which need no model."""

import re
from dataclasses import dataclass
from typing import Literal

from echoic.memory.text.words import is_small_talk, normalise, terms

CommandName = Literal[
    "what_do_you_know",
    "forget_that",
    "dont_remember_this",
    "stop_remembering",
    "remember_again",
    "forget_everything",
]


@dataclass(frozen=True, slots=True)
class MemoryCommand:
    """One wish about memory. Its name is the name of the tool that carries it out."""

    wish: CommandName
    about: str = ""
    """What is named: "my dog" in "forget about my dog"."""
    this_alone: bool = False
    """The wish and the words it is about stand in one turn: "don't remember this, my PIN is 4321"."""
    rest: str = ""
    """Words after the wish that still want an answer."""


MOST_NAMED = 4
"""Stems in what is named; more is a sentence about something else, for the model."""

_BEFORE = (
    r"(?:(?:please|ok|okay|hey|hi|echoic|so|well|now|actually|and|but|no|sorry|wait|um|uh|just"
    r"|(?:can|could|would|will) you(?: please)?(?: just)?|i want you to|id like you to|i would like you "
    r"to|id rather you"
    r"|you (?:should|can|may)"
    r") )*"
)
_AFTER = (
    r"(?: (?:please|now|ok|okay|thanks|thank you|again|at all|any ?more|ever|from now on|for "
    r"now|then|right))*"
)
_NOT = r"(?:do not|dont|not|never|didnt|please dont|you (?:should|must) not|you dont (?:have|need) to)"
_KEEP = r"(?:remember|keep|store|save|memori[sz]e|record|write down|note down|note|learn)"
_KEEPING = r"(?:remembering|keeping|storing|saving|memori[sz]ing|recording|noting|learning)"
_JUST_SAID = (
    r"what (?:i|we) (?:have )?(?:just )?(?:said|told you|talked about|spoke about|discussed)(?: just now)?"
)
_ALL_OF_IT = (
    r"(?:everything|all|all of it|it all|me|all about me|everything about me|my "
    r"(?:data|memory|memories|history|information)"
    r"|(?:everything|all)(?: that)? (?:you (?:know|have|remember|stored)"
    r"|i (?:said|told you|have ever told you|ever said)|ive told you|ive said)"
    r"(?: about me| of me| on me)?)"
)

_RULES: tuple[tuple[CommandName, str], ...] = (
    (
        "what_do_you_know",
        r"(?:tell me |do you know |so )?(?:what|which things|how much)(?: all| else| exactly)? "
        r"(?:do|did|have|can) you"
        r" (?:know|remember|remembered|recall|stored?|kept|keep|saved?|learned|have)(?: (?:about|of|on) me| "
        r"about myself)(?: so far)?"
        r"|what (?:do you remember|have i told you(?: about me| about myself)?)(?: so far)?"
        r"|tell me (?:what|everything|all)(?: that)? you (?:know|remember|have)(?: (?:about|of|on) me)?"
        r"|do you (?:know|remember|have) anything (?:about|of|on) me",
    ),
    (
        "stop_remembering",
        rf"(?:stop|quit) {_KEEPING}(?: (?:me|this|that|things|anything|everything|it|notes|my words|what i "
        rf"(?:say|tell you)"
        r"|(?:this|our|the) (?:call|conversation|conversations)))?(?: about me)?"
        rf"|{_NOT} {_KEEP} (?:me|anything|things|anything (?:i (?:say|tell you)|about me|else|more)|what i "
        rf"(?:say|tell you)"
        r"|(?:this|our|the) (?:call|conversation|conversations))"
        r"|(?:turn|switch) (?:off )?(?:your |the )?memory(?: off)?|(?:turn|switch) off remembering|forget me "
        r"from now on",
    ),
    (
        "remember_again",
        rf"(?:start|begin|resume|continue|go back to) {_KEEPING}(?: (?:me|things|what i (?:say|tell "
        rf"you)|this (?:call|conversation)))?"
        r"|(?:you (?:can|may|are allowed to) )(?:start to )?remember(?: (?:me|this call|things|what i "
        r"(?:say|tell you)))?"
        r"|remember (?:again|me again|me from now on|things again|what i say again)"
        r"|(?:turn|switch) (?:your |the )?memory (?:back )?on|(?:turn|switch) (?:back )?on (?:your |the "
        r")?memory",
    ),
    ("forget_everything", rf"(?:forget|delete|erase|wipe|remove) (?:about )?{_ALL_OF_IT}"),
    (
        "dont_remember_this",
        rf"{_NOT} {_KEEP} (?:this|that|any of (?:this|that)|{_JUST_SAID})|(?:this |that |it )?(?:is |was "
        rf")?off the record",
    ),
    (
        "forget_that",
        rf"(?:forget|delete|erase|remove) (?:this|that|about (?:this|that|it)|{_JUST_SAID}|that i "
        rf"(?:said|told you) that"
        r"|the last (?:thing|bit|part|sentence)(?: i (?:said|told you))?|what i said)(?: from (?:your "
        r")?memory)?",
    ),
)
_WISHES = tuple((wish, re.compile(f"{_BEFORE}(?:{rule}){_AFTER}")) for wish, rule in _RULES)
_NAMED = re.compile(
    rf"{_BEFORE}(?:forget|delete|erase|remove) (?:(?:everything|anything|all|all you know|what|whatever)(?: "
    rf"that)?"
    r"(?: (?:i|you) (?:said|told you|know|remember|have))? )?(?:about|regarding|concerning) (?P<about>.+?)"
    rf"(?: from (?:your )?memory)?{_AFTER}"
)
_NAMED_AS_MINE = re.compile(rf"{_BEFORE}forget (?:that )?(?P<about>(?:i|im|ive|my|our|we|were) .+?){_AFTER}")
_THIS_ALONE = re.compile(
    rf"{_BEFORE}(?:{_NOT} {_KEEP} (?:this|that|what i am about to say|what im about to say)|this is off the "
    rf"record) .+"
)
_YES = re.compile(
    r"(?:yes|yeah|yep|yup|sure|ok|okay|of course|please do|go ahead|thats "
    r"(?:fine|ok|okay)|fine|absolutely|definitely|certainly|gladly"
    r"|you (?:may|can)|i dont mind|no problem|i agree|alright|all right|why not|that would be "
    r"(?:nice|great|good))\b"
)
_NO = re.compile(
    r"(?:no|nope|nah|not? thanks|rather not|id rather (?:not|you didnt)|i would rather (?:not|you "
    r"didnt)|please dont|dont|do not|never"
    r"|i dont want (?:that|you to|to)|better not|not now|not really|absolutely not|definitely not|of course "
    r"not|certainly not)\b"
)
_DOUBT = re.compile(r"\b(?:not|dont|no|but|only|except|unless|maybe|if|why|what|how)\b")


def parse_memory_command(words: str, *, answering: bool = False) -> MemoryCommand | None:
    """What the caller wants of memory with these words; None when they speak of something else, or it takes a
    model to tell.

    Strict: words that only may mean a wish are none ("forget it" mostly means "never mind"), and reach the
    model as they are.

    Args:
        answering: the caller was just asked whether they may be remembered.
    """
    plain = normalise(words)
    if answering and (answer := _answer(plain)) is not None:
        return answer
    for wish, rule in _WISHES:
        if rule.fullmatch(plain):
            return MemoryCommand(wish)
    if named := _NAMED.fullmatch(plain) or _NAMED_AS_MINE.fullmatch(plain):
        return (
            MemoryCommand("forget_that", about=named["about"])
            if 0 < len(set(terms(named["about"]))) <= MOST_NAMED
            else None
        )
    return MemoryCommand("dont_remember_this", this_alone=True) if _THIS_ALONE.fullmatch(plain) else None


def _answer(plain: str) -> MemoryCommand | None:
    """A plain yes or no to "may I remember?". Anything in between is no consent, and no refusal either."""
    no = None if plain.startswith("no problem") else _NO.match(plain)
    if no is not None:
        return MemoryCommand("stop_remembering", rest=_unanswered(plain[no.end() :]))
    yes = _YES.match(plain)
    if yes is None or _DOUBT.search(plain[yes.end() :]):
        return None
    return MemoryCommand("remember_again", rest=_unanswered(plain[yes.end() :]))


def _unanswered(rest: str) -> str:
    """What of these words still wants an answer: not "please", and not what repeats the question."""
    rest = re.sub(
        r"^(?: (?:please|thanks|thank you|you (?:may|can)|go ahead|do|remember(?: me| it| that| "
        r"this)?|to|thats fine))+",
        "",
        rest,
    )
    return "" if is_small_talk(rest) else rest.strip()
