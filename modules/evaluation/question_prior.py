"""Answers to questions from their words alone: what was mostly the answer after the same beginning in training.

A question is followed word by word through the tree of all beginnings of training questions, as deep as it goes. Only
the branches that some question takes are built, a level at a time, so that millions of questions need no dictionary.
"""

from itertools import count

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_AT_ONCE = 100_000  # questions whose words are in memory as texts together


class Words:
    """The words of N texts as numbers. The same word has the same number in all texts that share `known`.

    Attributes:
        counts: int [N], words of each text.
    """

    def __init__(self, texts: pa.Array, known: dict[str, int]):
        codes, counts = [], []
        for start in range(0, len(texts), _AT_ONCE):
            some = pc.utf8_trim_whitespace(texts.slice(start, _AT_ONCE))
            split = pc.utf8_split_whitespace(some)  # of no text: one word of no letters
            words = pc.list_flatten(split)
            words = words.filter(pc.not_equal(words, "")).dictionary_encode()
            numbers = [known.setdefault(word, len(known)) for word in words.dictionary.to_pylist()]
            codes.append(np.array(numbers, dtype=np.int32)[words.indices.to_numpy()])
            counts.append(pc.list_value_length(split).to_numpy() - np.asarray(pc.equal(some, "")))
        self.counts = np.concatenate(counts)
        self._codes = np.concatenate(codes)
        self._starts = np.cumsum(self.counts) - self.counts

    def at(self, rows: np.ndarray, depth: int) -> np.ndarray:
        """The word number `depth` of some rows, all of which are longer."""
        return self._codes[self._starts[rows] + depth]


def question_prior(training: pa.Array, answers: np.ndarray, questions: pa.Array) -> np.ndarray:
    """The most frequent answer of the longest beginning, in whole words, that occurs in training.

    Args:
        training: texts [T] of the training questions.
        answers: int [T], the answer of each.
        questions: texts [N].

    Returns:
        int [N], an answer each; among equally frequent ones the one that training has first after that beginning.
    """
    known: dict[str, int] = {}
    seen, asked = Words(training, known), Words(questions, known)
    rows, open_rows = np.arange(len(training)), np.arange(len(questions))
    node, open_node = np.zeros_like(rows), np.zeros_like(open_rows)  # of the tree, where each of the rows is
    found = np.empty(len(questions), dtype=np.int64)
    for depth in count():
        goes_on = seen.counts[rows] > depth
        key = node[goes_on] * len(known) + seen.at(rows[goes_on], depth)
        branches, next_node = np.unique(key, return_inverse=True)

        wanted = np.full(len(open_rows), -1)  # the branch that an open question takes
        longer = asked.counts[open_rows] > depth
        open_key = open_node[longer] * len(known) + asked.at(open_rows[longer], depth)
        place = np.minimum(np.searchsorted(branches, open_key), max(len(branches) - 1, 0))
        if len(branches):
            wanted[longer] = np.where(branches[place] == open_key, place, -1)

        ends = wanted < 0
        frequent = _most_frequent(node, answers[rows], open_node[ends])
        found[open_rows[ends]] = frequent
        open_rows = open_rows[~ends]
        if not len(open_rows):
            return found
        taken, open_node = np.unique(wanted[~ends], return_inverse=True)
        number = np.full(len(branches), -1)
        number[taken] = np.arange(len(taken))
        node = number[next_node]
        rows, node = rows[goes_on][node >= 0], node[node >= 0]
    raise AssertionError("questions end")


def _most_frequent(node: np.ndarray, answers: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The most frequent of the answers at each wanted node, the earlier of equals."""
    wanted, places = np.unique(wanted, return_inverse=True)
    here = np.isin(node, wanted)
    width = int(answers.max()) + 1
    pairs, first, counts = np.unique(node[here] * width + answers[here], return_index=True, return_counts=True)
    order = np.lexsort((first, -counts, pairs // width))
    _, best = np.unique((pairs // width)[order], return_index=True)
    return (pairs % width)[order][best][places]
