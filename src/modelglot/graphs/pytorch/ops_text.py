"""Counts of n-grams of numbers. Text itself has no tensors in torch."""

from __future__ import annotations

from modelglot.graphs.pytorch import literals
from modelglot.graphs.pytorch.call import Call, Rule


def _grams(call: Call) -> str:
    """The pool has all grams of one number, then all of two ...; ``ngram_counts`` says where each kind begins."""
    pool, begins = call.ints_attr("pool_int64s"), call.ints_attr("ngram_counts", []) or []
    if pool is None:
        raise call.unsupported("its grams are text")
    places = call.ints_attr("ngram_indexes", []) or []
    least, most = int(call.attr("min_gram_length", 1)), int(call.attr("max_gram_length", 1))
    kinds, taken = [], 0
    for length, (begin, end) in enumerate(zip(begins, [*begins[1:], len(pool)], strict=True), 1):
        grams = [pool[at : at + length] for at in range(begin, end, length)]
        where, taken = places[taken : taken + len(grams)], taken + len(grams)
        if grams and least <= length <= most:
            kinds.append(f"({grams}, {where})")
    mode = call.text("mode", "TF")
    weights = "None"
    if mode != "TF" and call.attr("weights") is not None:
        weights = f"[{', '.join(literals.number(weight, 'float32') for weight in call.attr('weights'))}]"
    skips = int(call.attr("max_skip_count", 0))
    size = max(places, default=-1) + 1
    parts = f"{call[0]}, [{', '.join(kinds)}], {size}, {skips}, {mode in ('TF', 'TFIDF')}, {weights}, {places}"
    return f"{call.use('count_grams')}({parts})"


RULES: dict[str, Rule] = {"TfIdfVectorizer": _grams}
