"""Which name was meant by a wrong one."""

import re
from collections.abc import Iterable
from difflib import SequenceMatcher

# Below this, names look alike by chance only. Of the many settings some are as alike as `slope` and `stop` (0.67); of a
# few choices, `bse` for `bce` is as good.
ALIKE, ALIKE_CHOICES = 0.7, 0.6
# As parts of a name: `epochs` for `max_epochs`, `lr` for `learning_rate`.
SAME_WORDS, SAME_INITIALS = 0.9, 0.95


def nearest(wrong: str, known: Iterable[str]) -> str | None:
    """The name, such as a choice or an argument, that ``wrong`` is most like; None where none is like it."""
    scored = [(_likeness(wrong, name), name) for name in known]
    score, name = max(scored, default=(0, ""), key=lambda pair: pair[0])
    return name if score >= ALIKE_CHOICES else None


def nearest_setting(wrong: str, known: Iterable[str]) -> str | None:
    """The same for dotted keys: the last part decides, the parts before it where several are as good."""
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
    """From 0 to 1, 1 for the same."""
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
    # Without the plural's s: `max_epoch` has the words of `epochs`.
    return [word.removesuffix("s") for word in re.split(r"[\W_]+", name) if word]


def _initials(words: list[str]) -> str:
    return "".join(word[0] for word in words if word)


def _ratio(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other).ratio()
