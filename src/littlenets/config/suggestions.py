"""Suggest the most similar name for a wrong one."""

import re
from collections.abc import Iterable
from difflib import SequenceMatcher

# Names with a lower score are not suggested. The limit is higher for settings: there are many, and unrelated ones such
# as `slope` and `stop` have a score of 0.67. Among a few choices, a score such as that of `bse` and `bce` is enough.
ALIKE, ALIKE_CHOICES = 0.7, 0.6
# Scores of names with common words (`epochs` for `max_epochs`) and of initials (`lr` for `learning_rate`).
SAME_WORDS, SAME_INITIALS = 0.9, 0.95


def nearest(wrong: str, known: Iterable[str]) -> str | None:
    """Return the most similar known name, such as a choice or an argument; None if none is similar enough."""
    scored = [(_likeness(wrong, name), name) for name in known]
    score, name = max(scored, default=(0, ""), key=lambda pair: pair[0])
    return name if score >= ALIKE_CHOICES else None


def nearest_setting(wrong: str, known: Iterable[str]) -> str | None:
    """Return the most similar known dotted key; None if none is similar enough.

    The last part of the key must be similar; the parts before it have a smaller weight in the comparison.
    """
    group, _, name = wrong.rpartition(".")
    best, best_score = None, 0.0
    for key in known:
        other_group, _, other_name = key.rpartition(".")
        likeness = _likeness(name, other_name)
        score = likeness + 0.3 * _ratio(group, other_group)
        if likeness >= ALIKE and score > best_score:
            best, best_score = key, score
    return best


def _likeness(one: str, other: str) -> float:
    """Return the similarity of two names, from 0 to 1 (equal except for case)."""
    one, other = one.lower(), other.lower()
    words, other_words = _words(one), _words(other)
    if one == other:
        return 1.0
    if len(words) != len(other_words) and (one == _initials(other_words) or other == _initials(words)):
        return SAME_INITIALS
    if set(words) <= set(other_words) or set(words) >= set(other_words):
        return max(SAME_WORDS, _ratio(one, other))
    return _ratio(one, other)


def _words(name: str) -> list[str]:
    # Without the plural s, so that `max_epoch` and `epochs` have a common word.
    return [word.removesuffix("s") for word in re.split(r"[\W_]+", name) if word]


def _initials(words: list[str]) -> str:
    return "".join(word[0] for word in words if word)


def _ratio(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other).ratio()
