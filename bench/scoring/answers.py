"""From a generated answer to a class, without guessing: an answer that names no class stays unusable.

The rule, in this order (the paper says only that the prediction is taken from the output):

1. Letters are case-folded; whole words count, so `saddle` and `unhappy` name nothing. Quotation marks and other
   punctuation are not part of a word, and hyphens part words.
2. A class named by its own word goes before one named by another form of it: `a smiling face full of contempt` is
   contempt. Only where no class is named by its own word do the forms in `FORMS` count.
3. Of several classes named alike, the one that comes first in the text is taken (of two that begin at one word, the
   longer name). An answer that names every class has chosen none: it repeats the question's list.
4. A word that is denied names nothing: `not happy`, `no sign of anger`, `isn't sad`. The denial reaches over the few
   words in `BETWEEN`, over `or` and `nor` from one denied word to the next, and over no punctuation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

UNUSABLE = -1

# What a class is also called: inflections, and the plain synonyms that captions use. One line, one class.
FORMS: tuple[str, ...] = (
    "happiness happy happier happiest happily joy joyful joyfully joyous joyously smile smiles smiled smiling smilingly",
    "sadness sad sadder saddest sadly saddened",
    "neutral neutrally neutrality",
    "anger angry angrier angriest angrily angered",
    "surprise surprised surprises surprising surprisingly",
    "disgust disgusted disgusting disgustedly",
    "fear fears fearful fearfully fearing scared afraid",
    "contempt contemptuous contemptuously",
    "anxiety anxieties anxious anxiously anxiousness",
    "helplessness helpless helplessly",
    "disappointment disappointed disappointing disappointedly disappoints",
)

# A word that denies what follows, and the words that may stand between the two.
DENIALS = frozenset(("not", "no", "never", "without", "neither", "nor", "cannot", "non"))
_FILLING = (
    "a an any the of at all very really so particularly especially in to be being look looks looking seem seems seeming "
    "appear appears appearing feel feels feeling show shows showing express expresses expressing display displays "
    "displaying sign signs trace traces hint expression emotion"
)
BETWEEN = frozenset(_FILLING.split())

_KNOWN = frozenset(form for line in FORMS for form in line.split())
_PIECE = re.compile(r"[^\W_]+(?:'[^\W_]+)*|[.,;:!?()\[\]\n]")
_Words = tuple[str, ...]
_Names = dict[int, list[_Words]]
_Spot = tuple[int, int, int]  # first word, minus the number of words, class: so that the least is taken


def parse(answer: str, classes: Sequence[str]) -> int:
    """The class that an answer names, as an index into `classes`, or `UNUSABLE`.

    Args:
        answer: the raw text.
        classes: the class names in label order; one that `FORMS` does not know is named by its own words alone.
    """
    pieces = _pieces(answer)
    own: _Names = {number: [_pieces(name)] for number, name in enumerate(classes)}
    further: _Names = {number: [(form,) for form in _forms(name)] for number, name in enumerate(classes)}
    everything = {number: own[number] + further[number] for number in own}
    if len(classes) > 1 and len({number for _, _, number in _named(pieces, everything)}) == len(classes):
        return UNUSABLE
    for names in (own, further):
        found = _named(pieces, names)
        if found:
            return min(found)[2]
    return UNUSABLE


def exact(answer: str, classes: Sequence[str]) -> int:
    """The class whose name is the whole answer, whatever its letter case and the punctuation around it, or `UNUSABLE`."""
    said = " ".join(each for each in _pieces(answer) if each[0].isalnum())
    found = [number for number, name in enumerate(classes) if said == " ".join(_pieces(name))]
    return found[0] if len(found) == 1 else UNUSABLE


# What `bench score --parser` offers: the rule of this page, and one that takes nothing but a name.
PARSERS: dict[str, Callable[[str, Sequence[str]], int]] = {"named": parse, "exact": exact}


def parse_all(answers: Sequence[str], classes: Sequence[str]) -> list[int]:
    """`parse` of each answer."""
    return [parse(answer, classes) for answer in answers]


def _pieces(text: str) -> _Words:
    """Words and the punctuation that parts clauses."""
    return tuple(_PIECE.findall(text.casefold().replace("’", "'")))


def _forms(name: str) -> list[str]:
    """Every other form of a class's word."""
    word = " ".join(_pieces(name))
    return [form for line in FORMS if word in line.split() for form in line.split() if form != word]


def _named(pieces: _Words, names: _Names) -> list[_Spot]:
    """Where classes are named and not denied; a name inside a longer one does not count."""
    spots = [
        (start, -len(words), number)
        for number, alternatives in names.items()
        for words in alternatives
        for start in range(len(pieces) - len(words) + 1)
        if words and pieces[start : start + len(words)] == words
    ]
    return [spot for spot in spots if not _denied(pieces, spot[0]) and not any(_inside(spot, other) for other in spots)]


def _inside(spot: _Spot, other: _Spot) -> bool:
    """Whether a name is part of a longer one."""
    (start, less, _), (outer, outer_less, _) = spot, other
    return outer_less < less and outer <= start and start - less <= outer - outer_less


def _denied(pieces: _Words, position: int) -> bool:
    """Whether a denial reaches the word at this position."""
    for before in range(position - 1, -1, -1):
        word = pieces[before]
        if word in DENIALS or word.endswith("n't"):
            return True
        listed = word == "or" or (word in _KNOWN and pieces[before + 1] in ("or", "nor"))
        if not (listed or word in BETWEEN):
            return False
    return False
