import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import BertTokenizerFast

from datamodules.tokenization import load_tokenizer
from datasets.errors import InputError

from .conftest import WORDS

LETTERS = [*WORDS, *string.ascii_lowercase, *(f"##{letter}" for letter in string.ascii_lowercase), "?", "'", "中"]


@given(st.lists(st.text("aBzé '?中\t[PAD]", max_size=12), min_size=1, max_size=4), st.none() | st.integers(3, 9))
def test_as_transformers(texts, length):
    reference = BertTokenizerFast(vocab={token: index for index, token in enumerate(LETTERS)})
    expected = reference(texts, padding=True, truncation=True, max_length=length or 512, return_tensors="pt")
    tokenizer = load_tokenizer(LETTERS)
    ids, mask = tokenizer.encode(texts, length)
    assert ids.equal(expected.input_ids) and mask.equal(expected.attention_mask) and tokenizer.vocab == LETTERS
    assert tokenizer.encode(["a " * 600], 1000)[0].shape == (1, 512)  # whatever is asked for


def test_folders(tmp_path):
    odd = ["Dog", "\u2028", "\x85", "\x0b", "a\u2028b"]  # some end lines elsewhere
    for ending in ("\n", "\r\n"):
        (tmp_path / "vocab.txt").write_bytes("".join(word + ending for word in [*WORDS, *odd]).encode())
        assert load_tokenizer(tmp_path).vocab == [*WORDS, *odd]
    (tmp_path / "tokenizer_config.json").write_text(json.dumps({"do_lower_case": False}))
    assert load_tokenizer(str(tmp_path)).encode(["Dog"])[0].tolist() == [[2, 13, 3]]
    BertTokenizerFast(vocab={token: index for index, token in enumerate(WORDS)}).save_pretrained(tmp_path / "json")
    tokenizer = load_tokenizer(tmp_path / "json")
    assert tokenizer.encode(["red cat"])[0].tolist() == [[2, 9, 11, 3]] and tokenizer.vocab == WORDS


def test_what_is_refused(tmp_path, monkeypatch):
    def unreachable(name):
        raise OSError("no\nroute")

    def refused(source, said):
        with pytest.raises(InputError, match=said):
            load_tokenizer(source)

    monkeypatch.setattr("datamodules.tokenization.Tokenizer.from_pretrained", unreachable)
    refused("bert-x", r"'bert-x' .*\(no route\)")
    refused(tmp_path, rf"{tmp_path} holds neither")
    refused(["[UNK]", "dog"], r"\[PAD\], \[CLS\], \[SEP\]")
    refused([*WORDS, "dog"], "a token twice")
    for name, content in (("vocab.txt", b"\xff"), ("tokenizer.json", b"{}")):
        (tmp_path / name).write_bytes(content)
        refused(tmp_path, str(tmp_path / name))
