"""Passwords: what is said to be one, has digits among its letters or behind its words, or is spelled."""

import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator

from echoic.memory.text.canonical import has, is_unspaced
from echoic.memory.text.language import languages
from echoic.memory.text.numbers.runs import Run, Word
from echoic.memory.text.secrets.cuts import PART_END, SENTENCE_END, Cuts, Span
from echoic.memory.text.secrets.names import Place, functions, places
from echoic.memory.text.secrets.numbers import LEAST_DIGITS, span_of

NEAR, JUST_BEFORE = 6, 3
"""Words from "password" to its "is", and from an "is" to the "password" behind it."""
LEAST_MIXED, MIXED_DIGITS = 4, 2
"""Letters and digits of a password; digits, where a code is named and no password."""
MOST_WORDS = 4
"""Before a number that ends a password: "Marmalade ninety one"."""
LEAST_SPELLED, SPELLED_APART = 3, 6
"""Letters and numbers of a password that is spelled, and words between two of them."""
SYLLABLES = "\u0900"
"""Scripts of syllables stand behind it, alphabets before."""
_JOINED = re.compile(r"[@_#]?")
_ELIDED, _VOWELS = {"'", "’"}, frozenset("aeiouy")


def passwords_in(
    text: str, words: list[Word], runs: list[Run], numbers: list[Place], named: list[Place]
) -> Iterator[Span]:
    """From behind "password is" to the end of its sentence, or from its beginning to "is the password".

    "I forgot my password and my dog is ill" holds none. Where a language has no such "is", all behind the
    word counts, up to a comma. In any order, letters with digits among them count ("I use Bluebell77 as my
    password"), a number with the words that it ends, and letters that are spelled.

    Args:
        numbers: where a PIN or a code is named, which may have letters too.
        named: where a password is.
    """
    sentences, parts, both = Cuts(SENTENCE_END, text), Cuts(PART_END, text), places(words, "both")
    stating = places(words, "is")
    of_sentences, of_parts = defaultdict[Span, set[str]](set), defaultdict[Span, set[str]](set)
    for place in (*named, *both):
        of_sentences[sentences.around(_span(words, place))].add(place.code)
        of_parts[parts.around(_span(words, place))].add(place.code)
    for place in named:
        yield from _stated(text, words, place, stating, sentences, parts)
    holding = {sentences.around(_span(words, place)) for place in numbers}
    for one in mixed(text, words):
        around = sentences.around(one)
        if around in of_sentences or (around in holding and _digits(text, one) >= MIXED_DIGITS):
            yield one
    for span, codes in of_sentences.items():
        yield from _spelled(text, words, runs, span, min(codes))
    names = {at for place in (*named, *both) for at in range(place.first, place.last + 1)}
    for run in runs:
        part = parts.around(span_of(words, run))
        if known := run.codes & of_parts.get(part, set()):
            yield from _with_words(words, run, names, part[0], min(known))


def password_answered(text: str, words: list[Word]) -> Iterator[Span]:
    """Of an answer to a question for a password all, or each sentence that has digits among its letters;
    nothing of one that begins with a no: "No, it just keeps asking for it"."""
    sentences, found = Cuts(SENTENCE_END, text), mixed(text, words)
    if found:
        yield from (sentences.around(one) for one in found)
    elif words and not _is_refused(words):
        yield words[0].begin, words[-1].end


def mixed(text: str, words: list[Word]) -> list[Span]:
    """Words that begin with a letter and hold a digit: "Bluebell77", "chaiwala@90"."""
    found, first = list[Span](), 0
    for at, word in enumerate(words):
        following = words[at + 1] if at + 1 < len(words) else None
        if following and not is_unspaced(word.text) and _JOINED.fullmatch(text, word.end, following.begin):
            continue
        one = text[words[first].begin : word.end]
        is_mixed = any(map(str.isdigit, one)) and one[0].isalpha() and not is_unspaced(one[0])
        if is_mixed and len(one) >= LEAST_MIXED:
            found.append((words[first].begin, word.end))
        first = at + 1
    return found


def _digits(text: str, span: Span) -> int:
    return sum(map(str.isdigit, text[span[0] : span[1]]))


def _span(words: list[Word], place: Place) -> Span:
    return words[place.first].begin, words[place.last].end


def _is_refused(words: list[Word]) -> bool:
    said = [word.text for word in words[:NEAR]]
    first = said[:1] if not is_unspaced(said[0]) else said[:2]
    return any(has(one.no, first) or has(one.no, ["".join(first)]) for one in languages().values())


def _stated(
    text: str, words: list[Word], place: Place, stating: list[Place], sentences: Cuts, parts: Cuts
) -> Iterator[Span]:
    """What is said of a password behind its name, or "is the password" before it."""
    behind, is_said = place.last + 1, text[words[place.last].end :][:1] == ":"
    part = parts.around(_span(words, place))
    if languages()[place.code].secrets.get("is") and not is_said:
        since = bisect_left(stating, place.first - JUST_BEFORE, key=lambda one: one.first)
        until = bisect_left(stating, behind + NEAR, key=lambda one: one.first)
        near = [one for one in stating[since:until] if one.code == place.code]
        for one in near:
            if one.last < place.first:
                yield from _told_before(words, part, one)
        found = next((one.last for one in near if behind <= one.first and one.last < behind + NEAR), None)
        if found is None:
            return
        behind, is_said = found + 1, True
    close = (sentences.around(_span(words, place)) if is_said else part)[1]
    if behind < len(words) and words[behind].begin < close:
        yield words[behind].begin, close


def _told_before(words: list[Word], part: Span, stating: Place) -> Iterator[Span]:
    first = bisect_left(words, part[0], key=lambda word: word.begin)
    told = words[first : stating.first]
    if any(word.text not in functions(stating.code) for word in told):
        yield told[0].begin, told[-1].end


def _spelled(text: str, words: list[Word], runs: list[Run], sentence: Span, code: str) -> Iterator[Span]:
    """ "Capital K, e, r, underscore, 2 6": from the word before the first to the last."""
    begin = bisect_left(words, sentence[0], key=lambda word: word.begin)
    end = bisect_left(words, sentence[1], key=lambda word: word.begin)
    counted = {at for run in runs for at in range(max(run.first, begin), min(run.last + 1, end))}
    pieces = [at for at in range(begin, end) if at in counted or _is_letter(text, words[at])]
    group = list[int]()
    for at in [*pieces, len(words) + 2 * SPELLED_APART]:
        if group and at - group[-1] > SPELLED_APART:
            letters = {words[one].text for one in group if one not in counted}
            if len(group) >= LEAST_SPELLED and letters - _single_words(code):
                yield words[max(begin, group[0] - 1)].begin, words[group[-1]].end
            group = []
        group.append(at)


def _is_letter(text: str, word: Word) -> bool:
    """Of an alphabet, no syllable; not what an apostrophe parts: "it's", "l'ami"."""
    beside = text[word.begin - 1 : word.begin] + text[word.end : word.end + 1]
    return len(word.text) == 1 and word.text.isalpha() and word.text < SYLLABLES and not _ELIDED & set(beside)


def _single_words(code: str) -> frozenset[str]:
    """Letters that are words; a list that has "q" has them all."""
    listed = functions(code)
    return _VOWELS if "q" in listed else listed


def _with_words(words: list[Word], run: Run, names: set[int], begin: int, code: str) -> Iterator[Span]:
    """A number with the telling words before it, if there are any; "이사" is more often a move than a 24."""
    first, last = run.first, words[run.last].text
    if first == run.last and not last.isdigit() and len(last) == run.size < LEAST_DIGITS:
        return
    while (
        run.first - first < MOST_WORDS
        and first
        and words[first - 1].begin >= begin
        and first - 1 not in names
        and words[first - 1].text not in functions(code)
    ):
        first -= 1
    if first < run.first:
        yield words[first].begin, words[run.last].end
