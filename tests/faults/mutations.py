"""Broken versions of files: a seeded generator, so that whatever it finds can be found again."""

import copy
import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np

Random = np.random.Generator
Broken = tuple[str, bytes]  # what was done to it, and what is in the file now

# Values that stand where another kind of value belongs.
ODD_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1.5,
    10**400,
    float("nan"),
    float("-inf"),
    "",
    " ",
    "\0",
    "\ud800",
    "a\nb",
    "x" * 200_000,
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    "; touch injected #",
    "$(touch injected)",
    [],
    {},
    [[]],
    {"a": {"b": None}},
)


# --- bytes of any file -----------------------------------------------------------------------------------------------


def _cut(content: bytes, random: Random) -> bytes:
    return content[: random.integers(1, len(content))]


def _cut_a_few_bytes(content: bytes, random: Random) -> bytes:
    return content[: -random.integers(1, 9)]


def _lose_the_start(content: bytes, random: Random) -> bytes:
    return content[random.integers(1, len(content)) :]


def _flip_a_bit(content: bytes, random: Random) -> bytes:
    broken = bytearray(content)
    broken[random.integers(len(content))] ^= 1 << random.integers(8)
    return bytes(broken)


def _flip_a_bit_of_the_head(content: bytes, random: Random) -> bytes:
    broken = bytearray(content)
    broken[random.integers(min(64, len(content)))] ^= 1 << random.integers(8)
    return bytes(broken)


def _change_bytes(content: bytes, random: Random) -> bytes:
    broken = bytearray(content)
    for place in random.integers(0, len(content), 1 + len(content) // 500):
        broken[place] = random.integers(256)
    return bytes(broken)


def _zero_a_block(content: bytes, random: Random) -> bytes:
    start, end = np.sort(random.integers(0, len(content) + 1, 2))
    return content[:start] + bytes(end - start) + content[end:]


def _lose_a_block(content: bytes, random: Random) -> bytes:
    start, end = np.sort(random.integers(0, len(content) + 1, 2))
    return content[:start] + content[end:]


def _repeat_a_block(content: bytes, random: Random) -> bytes:
    start, end = np.sort(random.integers(0, len(content) + 1, 2))
    return content[:end] + content[start:]


def _insert_noise(content: bytes, random: Random) -> bytes:
    place = random.integers(len(content) + 1)
    return content[:place] + random.bytes(random.integers(1, 100)) + content[place:]


def _append_noise(content: bytes, random: Random) -> bytes:
    return content + random.bytes(random.integers(1, 100))


WHOLLY_OTHER = {
    "empty": b"",
    "a web page": b"<!DOCTYPE html><html><title>404</title></html>",
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 4\n",
    "zeros": bytes(4096),
    "gzip": b"\x1f\x8b\x08\x00" + bytes(100),
    "JSON null": b"null",
}
DAMAGES = (
    *(_cut, _cut_a_few_bytes, _lose_the_start, _flip_a_bit, _flip_a_bit_of_the_head, _change_bytes, _zero_a_block),
    *(_lose_a_block, _repeat_a_block, _insert_noise, _append_noise),
)


def damage(content: bytes, random: Random, count: int) -> Iterator[Broken]:
    """Wholly other files, then `count` that a disk, a download or an editor has damaged."""
    yield from WHOLLY_OTHER.items()
    for number in range(count):
        how = DAMAGES[number % len(DAMAGES)]
        yield how.__name__.strip("_").replace("_", " "), how(content, random)


# --- values within values --------------------------------------------------------------------------------------------


def _places(value: Any, place: tuple = ()) -> Iterator[tuple]:
    yield place
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from _places(value[key], (*place, key))


def restructure(value: Any, random: Random) -> tuple[str, Any]:
    """A copy of lists and dicts within each other in which one thing is another, gone, twice or renamed."""
    value = copy.deepcopy(value)
    places = list(_places(value))
    place = places[random.integers(len(places))]
    odd = ODD_VALUES[random.integers(len(ODD_VALUES))]
    if not place:
        return f"{_short(odd)} in place of all", odd
    *path, key = place
    parent = value
    for step in path:
        parent = parent[step]
    name = "/".join(map(_short, place))
    match random.integers(5):
        case 0:
            del parent[key]
            return f"{name} is gone", value
        case 1 if isinstance(parent, list):
            parent.insert(key, copy.deepcopy(parent[key]))
            return f"{name} twice", value
        case 1:
            parent[f"{key} "] = parent.pop(key)
            return f"{name} renamed", value
        case 2:
            parent[key] = [parent[key]]
            return f"{name} in a list", value
        case _:
            parent[key] = odd
            return f"{name} is {_short(odd)}", value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 30 else f"{text[:30]}…"


# --- text formats ----------------------------------------------------------------------------------------------------


def other_encodings(text: str) -> Iterator[Broken]:
    yield "UTF-16", text.encode("utf-16")
    yield "UTF-8 with a byte order mark", text.encode("utf-8-sig")
    yield "Latin-1", f"{text}é".encode("latin-1")
    yield "a NUL inside", text[: len(text) // 2].encode() + b"\0" + text[len(text) // 2 :].encode()


def broken_json(value: Any, random: Random, structural: int, damaged: int) -> Iterator[Broken]:
    text = json.dumps(value)
    yield from damage(text.encode(), random, damaged)
    yield from other_encodings(text)
    yield "twice", (text + text).encode()
    yield "single quotes", text.replace('"', "'").encode()
    yield "a trailing comma", (text[:-1] + "," + text[-1]).encode()
    yield "nested 100,000 deep", b"[" * 100_000
    yield "a number of 5,000 digits", b"[" + b"9" * 5000 + b"]"
    for _ in range(structural):
        what, changed = restructure(value, random)
        yield what, _dump(changed)


def _dump(value: Any) -> bytes:
    return json.dumps(value).encode()


def broken_csv(content: str, random: Random, structural: int, damaged: int) -> Iterator[Broken]:
    rows = list(csv.reader(io.StringIO(content)))
    yield from damage(content.encode(), random, damaged)
    yield from other_encodings(content)
    for name, delimiter in (("semicolons", ";"), ("tabs", "\t")):
        yield name, _csv(rows, delimiter)
    yield "header alone", _csv(rows[:1])
    yield "no header", _csv(rows[1:])
    yield "header twice", _csv([rows[0], *rows])
    yield "a quote that never ends", content.replace("what", '"what', 1).encode()
    yield "old Mac line ends", content.replace("\r\n", "\r").encode()
    for column, name in enumerate(rows[0]):
        yield f"no column {name}", _csv([[*row[:column], *row[column + 1 :]] for row in rows])
        yield f"column {name} twice", _csv([[*row, row[column]] for row in rows])
    for _ in range(structural):
        what, changed = _change_rows(rows, random)
        yield what, _csv(changed)


def _csv(rows: list[list[str]], delimiter: str = ",") -> bytes:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter).writerows(rows)
    return file.getvalue().encode("utf-8", "surrogatepass")


def broken_tsv(content: str, random: Random, structural: int, damaged: int) -> Iterator[Broken]:
    """Of a file of lines with a tab in each, or of lines alone."""
    rows = [line.split("\t") for line in content.splitlines()]
    yield from damage(content.encode(), random, damaged)
    yield from other_encodings(content)
    yield "commas", content.replace("\t", ",").encode()
    yield "spaces", content.replace("\t", "    ").encode()
    yield "tabs twice", content.replace("\t", "\t\t").encode()
    yield "a header", ("url\tcaption\n" + content).encode()
    yield "twice", (content * 2).encode()
    yield "no url that can be parsed", content.replace("://", "://[", 1).encode()
    yield "Windows line ends", content.replace("\n", "\r\n").encode()
    for _ in range(structural):
        what, changed = _change_rows(rows, random)
        yield what, "".join("\t".join(row) + "\n" for row in changed).encode("utf-8", "surrogatepass")


def _change_rows(rows: list[list[str]], random: Random) -> tuple[str, list[list[str]]]:
    rows = [list(row) for row in rows]
    line, column = int(random.integers(len(rows))), int(random.integers(len(rows[0])))
    odd = ODD_VALUES[random.integers(len(ODD_VALUES))]
    odd = "9" * 400 if isinstance(odd, int) and odd > 1 else str(odd)
    match random.integers(5):
        case 0:
            del rows[line][column]
            what = "a field is gone"
        case 1:
            rows[line].insert(column, odd)
            what = f"a field too many, {_short(odd)}"
        case 2:
            rows.insert(line, list(rows[line]))
            what = "a line twice"
        case _:
            rows[line][column] = odd
            what = f"a field is {_short(odd)}"
    return f"line {line + 1}: {what}", rows


# --- settings --------------------------------------------------------------------------------------------------------

ODD_WORDS = (
    *("", "-1", "0", "1", "2", "1.5", "0.0", "1e9", "1e400", "nan", "inf", "-inf", "None", "True", "false", "none"),
    *("[]", "[0]", "['']", "[None]", "{}", "{'a':1}", "''", "'3'", "x", "../x", "/", "/dev/null", "; touch injected"),
    *("(", "[1", "'", "a b", "é", "x" * 5000, "lambda: 0", "__import__('os').system('touch injected')"),
)


NUMBERS = (
    "0",
    "1",
    "2",
    "3",
    "5",
    "7",
    "17",
    "1000",
    str(10**9),
    str(2**63),
    str(10**30),
    "0.3",
    "1.0",
    "1e-30",
    "1e30",
)


def broken_words(
    defaults: dict[str, Any], recipes: list[str], random: Random, count: int
) -> Iterator[tuple[str, list[str]]]:
    """Command lines with one to three words that are wrong, or that may be right and do not go together.

    Args:
        defaults: setting, or part of one (``bert_config.num_layers``), -> value.
        recipes: names of recipes.
    """
    names = list(defaults)
    numbers = [name for name, value in defaults.items() if isinstance(value, int | float)]
    for number in range(count):
        words = []
        for _ in range(random.integers(1, 4)):
            key, value = str(random.choice(names)), str(random.choice(ODD_WORDS))
            match random.integers(8) if number % 2 else 8:
                case 0:
                    words.append(str(random.choice(recipes)))
                case 1:
                    words.append(f"{key[:-1]}={value}")
                case 2:
                    words.append(key)
                case 8:
                    words.append(f"{random.choice(numbers)}={random.choice(NUMBERS)}")
                case _:
                    words.append(f"{key}={value}")
        yield " ".join(map(_short, words)), words
