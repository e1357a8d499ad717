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
_Names = dict[str, list[tuple[_Words, int]]]  # first word -> whole names and their classes
_Spot = tuple[int, int, int]  # first word, minus the number of words, class: so that the least is taken


def parse(answer: str, classes: Sequence[str]) -> int:
    """The class that an answer names, as an index into `classes`, or `UNUSABLE`.

    Args:
        answer: the raw text.
        classes: the class names in label order; one that `FORMS` does not know is named by its own words alone.
    """
    return parse_all([answer], classes)[0]


def parse_all(answers: Sequence[str], classes: Sequence[str]) -> list[int]:
    """`parse` of each answer, in time that grows with the answers' length."""
    own: list[tuple[_Words, int]] = [(_pieces(name), number) for number, name in enumerate(classes)]
    further: list[tuple[_Words, int]] = [
        ((form,), number) for number, name in enumerate(classes) for form in _forms(name)
    ]
    in_turn = _by_first_word(own), _by_first_word(further)
    everything = _by_first_word(own + further)
    return [_parsed(_pieces(answer), in_turn, everything, len(classes)) for answer in answers]


def exact_all(answers: Sequence[str], classes: Sequence[str]) -> list[int]:
    """The class whose name is a whole answer, whatever its letter case and the punctuation around it, or `UNUSABLE`."""
    names: dict[str, list[int]] = {}
    for number, name in enumerate(classes):
        names.setdefault(_words_of(name), []).append(number)
    found = [names.get(_words_of(answer), []) for answer in answers]
    return [meant[0] if len(meant) == 1 else UNUSABLE for meant in found]


# What `bench score --parser` offers: the rule of this page, and one that takes nothing but a name.
PARSERS: dict[str, Callable[[Sequence[str], Sequence[str]], list[int]]] = {"named": parse_all, "exact": exact_all}


def _words_of(text: str) -> str:
    return " ".join(each for each in _pieces(text) if each[0].isalnum())


def _parsed(pieces: _Words, in_turn: Sequence[_Names], everything: _Names, classes: int) -> int:
    if classes > 1 and len({number for _, _, number in _named(pieces, everything)}) == classes:
        return UNUSABLE
    for names in in_turn:
        found = _named(pieces, names)
        if found:
            return min(found)[2]
    return UNUSABLE


def _by_first_word(names: Sequence[tuple[_Words, int]]) -> _Names:
    found: _Names = {}
    for words, number in names:
        if words:
            found.setdefault(words[0], []).append((words, number))
    return found


def _pieces(text: str) -> _Words:
    """Words and the punctuation that parts clauses."""
    return tuple(_PIECE.findall(text.casefold().replace("’", "'")))


def _forms(name: str) -> list[str]:
    """Every other form of a class's word."""
    word = " ".join(_pieces(name))
    return [form for line in FORMS if word in line.split() for form in line.split() if form != word]


def _named(pieces: _Words, names: _Names) -> list[_Spot]:
    """Where classes are named and not denied; a name inside a longer one does not count."""
    spots: list[_Spot] = []
    denied = _denied(pieces)
    end = 0  # of the name that reaches furthest, of those that begin before this word
    for start, piece in enumerate(pieces):
        here = [
            (len(words), number)
            for words, number in names.get(piece, ())
            if pieces[start : start + len(words)] == words
        ]
        longest = max((length for length, _ in here), default=0)
        if not denied[start]:
            spots += [
                (start, -longest, number) for length, number in here if length == longest and start + length > end
            ]
        end = max(end, start + longest)
    return spots


def _denied(pieces: _Words) -> list[bool]:
    """For each word whether a denial reaches it."""
    reached = [False] * len(pieces)
    for position in range(1, len(pieces)):
        before, word = pieces[position - 1 : position + 1]
        if before in DENIALS or before.endswith("n't"):
            reached[position] = True
        elif before == "or" or before in BETWEEN or (before in _KNOWN and word in ("or", "nor")):
            reached[position] = reached[position - 1]
    return reached
