"""Texts to token ids: BERT's WordPiece, from a name, a folder or a list."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from tokenizers.implementations import BertWordPieceTokenizer
from torch import Tensor

from datasets.errors import InputError, explained
from datasets.files import read_json, reading

MAX_POSITIONS = 512  # of BERT; longer texts are cut
_SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


class TextTokenizer:
    """Encodes texts as ``[CLS] … [SEP]``. Can be sent to worker processes.

    It wraps the Rust tokenizer of the `tokenizers` library itself: a spawned worker need not import transformers, whose
    loader moreover returns a tokenizer with an empty vocabulary when it finds no file.
    """

    def __init__(self, tokenizer: Tokenizer, name: str = "the tokenizer"):
        """Raises InputError, which calls the tokenizer by that name, if it lacks a special token of BERT."""
        missing = [token for token in _SPECIAL_TOKENS if tokenizer.token_to_id(token) is None]
        if missing:
            raise InputError(f"{name} has no {', '.join(missing)}; it must be one of a BERT model")
        tokenizer.no_padding()
        self.pad_id: int = tokenizer.token_to_id("[PAD]")
        self._tokenizer = tokenizer

    @property
    def vocab_size(self) -> int:
        return self._tokenizer.get_vocab_size()

    @property
    def vocab(self) -> list[str]:
        """The tokens in order of their ids, as `load_tokenizer` takes them."""
        ids = self._tokenizer.get_vocab()
        return sorted(ids, key=ids.get)

    def encode(self, texts: Sequence[str], max_length: int | None = None) -> tuple[Tensor, Tensor]:
        """Encodes texts, padded to the longest of them.

        Args:
            max_length: tokens per text at most, [CLS] and [SEP] included; None: only what a position exists for.

        Returns:
            ids, mask (1 = token, 0 = padding): int64 [N, L].
        """
        self._tokenizer.enable_truncation(min(max_length or MAX_POSITIONS, MAX_POSITIONS))
        encodings = self._tokenizer.encode_batch(list(texts))
        ids = np.full((len(encodings), max(map(len, encodings))), self.pad_id, np.int64)
        mask = np.zeros_like(ids)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding)] = encoding.ids
            mask[row, : len(encoding)] = 1
        return torch.from_numpy(ids), torch.from_numpy(mask)


def load_tokenizer(source: str | os.PathLike | Sequence[str]) -> TextTokenizer:
    """Loads a BERT tokenizer.

    Args:
        source: a folder that holds `tokenizer.json`, or `vocab.txt` (lower-cased unless its `tokenizer_config.json`
            says otherwise); or a name on the model hub; or the vocabulary itself, a list of tokens.

    Raises:
        InputError: no such folder or name, no such file in the folder, or not a tokenizer of BERT.
    """
    if not isinstance(source, str | os.PathLike):
        return _from_vocabulary(list(source), "the vocabulary")
    folder = Path(source).expanduser()
    if folder.is_dir():
        return _from_folder(folder)
    if isinstance(source, os.PathLike) or folder.is_absolute() or source.startswith("."):
        raise InputError(f"there is no folder {source} with a tokenizer")
    try:
        tokenizer = Tokenizer.from_pretrained(source)
    except Exception as error:  # whatever the library's HTTP client raises, in Rust or in Python
        raise InputError(
            f"there is no folder {source!r} with a tokenizer, and none of that name comes from the model hub "
            f"({' '.join(str(error).split())[:120]}); set tokenizer to a folder with its tokenizer.json or vocab.txt"
        ) from error
    return TextTokenizer(tokenizer, f"the tokenizer {source!r}")


def _from_folder(folder: Path) -> TextTokenizer:
    file, vocabulary, settings = folder / "tokenizer.json", folder / "vocab.txt", folder / "tokenizer_config.json"
    if file.is_file():
        with explained(f"{file} is not a tokenizer", Exception):  # the Rust library raises no other
            return TextTokenizer(Tokenizer.from_file(str(file)), str(file))
    if not vocabulary.exists():
        raise InputError(f"{folder} holds neither tokenizer.json nor vocab.txt")
    with reading(vocabulary):
        # Not splitlines(): some vocabularies have a Unicode line separator for a token.
        tokens = vocabulary.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    config = read_json(settings) if settings.is_file() else {}
    return _from_vocabulary(tokens, str(vocabulary), lowercase=bool(config.get("do_lower_case", True)))


def _from_vocabulary(tokens: list[str], name: str, lowercase: bool = True) -> TextTokenizer:
    vocabulary = {token: index for index, token in enumerate(tokens)}
    if len(vocabulary) != len(tokens):
        raise InputError(f"{name} lists a token twice")
    missing = [token for token in _SPECIAL_TOKENS if token not in vocabulary]
    if missing:  # found before the library adds them, with ids that no embedding exists for
        raise InputError(f"{name} has no {', '.join(missing)}; it must be one of a BERT model")
    word_pieces = BertWordPieceTokenizer(vocabulary, lowercase=lowercase)
    return TextTokenizer(Tokenizer.from_str(word_pieces.to_str()), name)
