"""Tokenising as transformers does, from each source, and every message."""

import json
import pickle
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertTokenizerFast

from datamodules.tokenization import load_tokenizer
from datasets.errors import InputError

from .conftest import WORDS

LETTERS = [*WORDS, *string.ascii_lowercase, *(f"##{letter}" for letter in string.ascii_lowercase), "?", "'", "中"]


def test_ids_and_mask_by_hand():
    ids, mask = load_tokenizer(WORDS).encode(["What IS it", "dog", "zebra dog"])
    assert ids.tolist() == [[2, 5, 7, 8, 3], [2, 10, 3, 0, 0], [2, 1, 10, 3, 0]]
    assert mask.tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0]]


@given(
    texts=st.lists(st.text("aBzé '?中\t[PAD]", max_size=12), min_size=1, max_size=4),
    length=st.none() | st.integers(3, 9),
)
def test_as_transformers(texts, length):
    reference = BertTokenizerFast(vocab={token: index for index, token in enumerate(LETTERS)})
    expected = reference(texts, padding=True, truncation=True, max_length=length or 512, return_tensors="pt")
    ids, mask = load_tokenizer(LETTERS).encode(texts, length)
    assert ids.tolist() == expected.input_ids.tolist()
    assert mask.tolist() == expected.attention_mask.tolist()


def test_length_is_cut_only_where_asked_or_no_position_is_left():
    tokenizer = load_tokenizer(WORDS)
    long = "dog " * 600
    assert tokenizer.encode([long])[0].shape == (1, 512)
    assert tokenizer.encode([long], 1000)[0].shape == (1, 512)
    assert tokenizer.encode([long], 5)[0].tolist() == [[2, 10, 10, 10, 3]]
    assert tokenizer.encode([long, "cat"])[0].shape == (2, 512)  # the limit of one call does not stay


def test_folder_with_vocab_txt(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join([*WORDS, "Dog"]) + "\n")
    assert load_tokenizer(tmp_path).encode(["Dog"])[0].tolist() == [[2, 10, 3]]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False}))
    assert load_tokenizer(str(tmp_path)).encode(["Dog"])[0].tolist() == [[2, 13, 3]]


def test_folder_with_tokenizer_json(tmp_path):
    BertTokenizerFast(vocab={token: index for index, token in enumerate(WORDS)}).save_pretrained(tmp_path)
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.encode(["red cat"])[0].tolist() == [[2, 9, 11, 3]]
    assert tokenizer.vocab == WORDS
    assert tokenizer.vocab_size == len(WORDS)


def test_vocabulary_makes_the_same_tokenizer_again():
    tokenizer = load_tokenizer(load_tokenizer(LETTERS).vocab)
    assert tokenizer.vocab == LETTERS


def test_pickling():
    tokenizer = pickle.loads(pickle.dumps(load_tokenizer(WORDS)))
    assert tokenizer.encode(["red cat"], 3)[0].tolist() == [[2, 9, 3]]


@pytest.mark.parametrize("ending", ("\n", "\r\n"))
def test_tokens_that_end_lines_elsewhere(tmp_path, ending):
    odd = ["\u2028", "\u2029", "\x85", "\x0b", "\x1e", "a\u2028b"]
    (tmp_path / "vocab.txt").write_bytes("".join(word + ending for word in [*WORDS, *odd]).encode())
    assert load_tokenizer(tmp_path).vocab == [*WORDS, *odd]


def test_messages(tmp_path):
    with pytest.raises(InputError, match=r"holds neither tokenizer\.json nor vocab\.txt"):
        load_tokenizer(tmp_path)
    with pytest.raises(InputError, match=r"there is no folder .*nowhere with a tokenizer"):
        load_tokenizer(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"there is no folder \./nowhere with a tokenizer"):
        load_tokenizer("./nowhere")
    with pytest.raises(InputError, match=r"the vocabulary has no \[PAD\], \[CLS\], \[SEP\]; it must be one of a BERT"):
        load_tokenizer(["[UNK]", "dog"])
    with pytest.raises(InputError, match=r"the vocabulary lists a token twice"):
        load_tokenizer([*WORDS, "dog"])
    (tmp_path / "vocab.txt").write_text("dog")
    with pytest.raises(InputError, match=r"vocab\.txt has no \[PAD\]"):
        load_tokenizer(tmp_path)
    (tmp_path / "vocab.txt").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"vocab\.txt is not UTF-8 text"):
        load_tokenizer(tmp_path)
    (tmp_path / "vocab.txt").write_text("\n".join(WORDS))
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match=r"tokenizer\.json is not a tokenizer"):
        load_tokenizer(tmp_path)


def test_name_that_the_hub_does_not_give(monkeypatch):
    def unreachable(name):
        raise OSError("no\nroute")

    monkeypatch.setattr("datamodules.tokenization.Tokenizer.from_pretrained", unreachable)
    with pytest.raises(
        InputError, match=r"no folder 'bert-x' with a tokenizer, and none .* \(no route\); set tokenizer to"
    ):
        load_tokenizer("bert-x")
