"""Words as they stand in a block: on one line, nothing invisible, and no mark that means something there.

The grammar of a block (tests/unit/test_block_grammar.py reads it back):

```
block     = "<memory>" NL LABEL NL { section } { note NL } "</memory>" NL
section   = heading NL line { line }
line      = "- " ( statement | speaker ": " '"' words '"' ) " (" dates ")" NL
```

Statements and words hold no line break, no `<` or `>`, no `"`, and no round bracket, nor anything that looks
like one of them: nothing in a line can end it, its quote or the block, or forge a date or another line.
"""

import re
import unicodedata

INSTEAD = {"<": "‹", ">": "›", '"': "'", "(": "[", ")": "]"}
"""What means something in a block, and what stands for it."""
JOINERS = "\u200c\u200d"
VIRAMA = 9
"""The combining class of signs that take away a vowel: behind them a joiner chooses how letters meet."""

# Default_Ignorable_Code_Point of the Unicode standard, beyond format characters (Cf): shown as nothing, so it
# hides words from people and not from models. Tags and variation selectors are of it.
_IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2065\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufff8"
    "\U000e0000-\U000e0fff]"
)
_JOINER = re.compile(f"[{JOINERS}]")


def one_line(text: str) -> str:
    """`text` as one line that cannot close its quote, its line or the block, or open another."""
    if JOINERS[0] in text or JOINERS[1] in text:
        text = _JOINER.sub(_joiner, text)
    return " ".join(text.translate(_SHOWN).split())


def _joiner(found: re.Match[str]) -> str:
    """ZWJ and ZWNJ stay where a script needs them (RFC 5892, appendix A): beside a virama, and between
    letters of scripts that join, as the Arabic one."""
    text, at = found.string, found.start()
    before, after = text[at - 1 : at], text[at + 1 : at + 2]
    if VIRAMA in (unicodedata.combining(one) for one in (before, after) if one):
        return found[0]
    joined = all(unicodedata.bidirectional(one) in ("AL", "NSM") for one in (before, after) if one)
    return found[0] if before and after and joined else ""


class _Shown(dict[int, str | None]):
    """A table for `str.translate`, filled as it is asked."""

    def __missing__(self, code: int) -> str | None:
        self[code] = shown = _shown(chr(code))
        return shown


def _shown(letter: str) -> str | None:
    category = unicodedata.category(letter)
    if category in ("Cc", "Zl", "Zp"):
        return " "
    if letter in JOINERS or letter in INSTEAD.values():
        return letter
    if category[0] == "C" or _IGNORABLE.match(letter):  # format, surrogate, private, not assigned
        return None
    if "QUOTATION MARK" in unicodedata.name(letter, ""):
        return INSTEAD['"']
    looks = unicodedata.normalize("NFKC", letter)
    return "".join(INSTEAD.get(one, one) for one in looks) if INSTEAD.keys() & set(looks) else letter


_SHOWN = _Shown()
