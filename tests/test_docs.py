"""The documents: every command in them is one that its program accepts, and every link leads somewhere."""

import argparse
import importlib
import itertools
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from functools import partialmethod
from pathlib import Path

import pytest

import run  # noqa: F401  (brings the commands)
from config import Config, ex, run_command_line
from tests.kit.paths import ROOT

PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/RESULTS.md")]
PAGES += sorted((ROOT / "docs").glob("*.md"))
KNOWN_PROGRAMS = set("pip python3 . source pre-commit ruff git mkdir cat cp tensorboard".split())
ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
FOLDERS = "benchmarks datamodules datasets docs modules preproc scripts tests".split()
SOURCES = [*ROOT.glob("*.py"), *(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))]
PATH = re.compile(rf"({'|'.join(FOLDERS)})/[\w/.]*|\w+\.py")
COMMAND = re.compile(r"([A-Z_]+=\S+ )*(python|bash|torchrun) ")
TEXTS = {page: page.read_text(encoding="utf-8") for page in [*PAGES, ROOT / "CHANGELOG.md"]}
EXAMPLES = {"datasets/sources/mine.py"}  # that a reader is to write


def fenced(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXTS[page], re.M | re.S)


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```$", "", TEXTS[page], flags=re.M | re.S)


def spans(page: Path) -> list[str]:
    return re.findall(r"`([^`\n]+)`", prose(page))


def split_commands(block: str) -> Iterator[tuple[str, ...]]:
    """The simple commands of a bash block: no comments, no here-documents, no redirections."""
    block = re.sub(r"<<'(\w+)'\n.*?^\1$", "", block.replace("\\\n", " "), flags=re.M | re.S)
    block = re.sub(r"\$\{\w+:\+(.*?)\}", r"\1", block)  # as if the variable were set
    for line in block.splitlines():
        lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
        lexer.whitespace_split = True
        words: list[str] = []
        before = ""
        for word in [*lexer, ";"]:
            if re.fullmatch(r"[();|&]+", word):
                if words:
                    yield tuple(words)
                words = []
            elif not any(re.fullmatch(r"[<>]+&?", one) for one in (word, before)):
                words.append(word)
            before = word


def commands(page: Path) -> Iterator[tuple[str, ...]]:
    # In a sentence a command may be a general form, with an ellipsis.
    in_sentences = [span for span in spans(page) if COMMAND.match(span) and "…" not in span]
    for block in (*fenced(page, "bash"), *in_sentences):
        yield from split_commands(block)


COMMANDS = list(dict.fromkeys(command for page in PAGES for command in commands(page)))


class ParsedError(Exception): ...


@pytest.fixture
def parse_only(monkeypatch):
    def parse_and_stop(parser, parse, *arguments):
        parse(parser, *arguments)
        raise ParsedError

    for name in ("parse_args", "parse_intermixed_args"):
        parse = getattr(argparse.ArgumentParser, name)
        monkeypatch.setattr(argparse.ArgumentParser, name, partialmethod(parse_and_stop, parse))
    monkeypatch.setattr(ex, "run_commandline", lambda _: None)
    return monkeypatch


def accept_run(words: list[str], tmp_path: Path) -> None:
    stub = tmp_path / "settings.json"
    stub.write_text("{}")
    assert run_command_line([str(stub) if word.endswith((".json", ".yaml")) else word for word in words]) == 0


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_command_is_accepted(command, parse_only, tmp_path):
    words = list(itertools.dropwhile(ASSIGNMENT.match, command))
    if not words or words[0] in KNOWN_PROGRAMS:
        return
    for launcher, program, script in (("torchrun", "python", "run.py"), ("sbatch", "bash", "scripts/slurm.sh")):
        words = [program, *words[words.index(script) :]] if words[0] == launcher else words
    assert words[0] in ("python", "bash"), f"{words[0]} is on no list of this test"
    program, script, *words = words
    assert all((ROOT / word).exists() for word in words if word.startswith("tests/"))
    if Path(script).name == "run.py":
        accept_run(words, tmp_path)
    elif program == "python" and words[:1] != ["pytest"]:
        name, *given = words if script == "-m" else [script.removesuffix(".py").replace("/", "."), *words]
        parse_only.setattr(sys, "argv", [name, *given])
        with pytest.raises(ParsedError):
            importlib.import_module(name).main()
    elif program == "bash":  # its settings: tests of scripts have the rest of the command that it gives to Python
        assert (ROOT / script).is_file(), script
        subprocess.run(["bash", "-n", ROOT / script], check=True)
        settings = [word for word in words if ASSIGNMENT.match(word) or word.startswith("task_")]
        accept_run(["with", *settings], tmp_path)


def anchors(page: Path) -> list[str]:
    headings = re.findall(r"^#+ (.+)$", prose(page), re.M)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


@pytest.mark.parametrize("page", TEXTS, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if not target.startswith("https://"):
            name, _, anchor = target.partition("#")
            file = page.parent / name if name else page
            assert file.exists(), target
            assert not anchor or anchor in anchors(file), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_what_a_page_names_exists_and_it_says_what_it_is_for(page):
    subprocess.run(["bash", "-n"], input="\n".join(fenced(page, "bash")), text=True, check=True)
    for content in fenced(page, "python"):
        compile(content, page.name, "exec")
    for name in re.findall(r"`([a-z]\w*)=[^`\s]*`", prose(page)):
        assert name in Config.__dataclass_fields__ or name == "key", name  # of `key=value`, the general form
    code = "\n".join(path.read_text(encoding="utf-8") for path in SOURCES)
    for span in spans(page):
        if PATH.fullmatch(span) and span not in EXAMPLES:
            assert (ROOT / span).exists() or any(path.name == span for path in SOURCES), span
        elif re.fullmatch(r"(?:[A-Z][a-z]+){2,}\w*", span):
            assert re.search(rf"\b{span}\b", code), span
    assert len(anchors(page)) == len(set(anchors(page)))
    assert not re.search(r"\boptimis|\bdata sets?\b|\bonce an? |\b(frame|question|clip|token)s an? ", prose(page))
    if page.parent.name == "docs":
        assert re.match(r"# .+\n\nThis page ", TEXTS[page])
        assert f"](docs/{page.name})" in TEXTS[ROOT / "README.md"]
