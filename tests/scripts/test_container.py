"""Dockerfile and Apptainer's definition: they name files that exist, and lock files that environment.sh installs."""

import re
import shlex

from tests.kit.paths import ROOT


def instructions() -> list[list[str]]:
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.M).replace("\\\n", " ")
    return [shlex.split(line) for line in text.splitlines() if line.strip()]


def test_the_image_is_made_of_locked_requirements():
    kinds = {words[0] for words in instructions()}
    assert kinds == {"FROM", "ARG", "WORKDIR", "COPY", "RUN", "ENV", "ENTRYPOINT", "CMD"}
    for words in instructions():
        if words[0] == "COPY":
            assert (ROOT / words[1]).exists()
    (install,) = [words for words in instructions() if words[0] == "RUN"]
    assert "--require-hashes" in install
    locks = [word for word in install if word.endswith(".lock")]
    for torch in ("cpu", "cuda"):
        assert all((ROOT / lock.replace("$TORCH", torch)).is_file() for lock in locks)


def test_the_definition_is_of_that_image():
    text = (ROOT / "docs/dest.def").read_text()
    assert re.search(r"^Bootstrap: docker-daemon\nFrom: dest:latest$", text, re.M)
    assert "docker build -t dest ." in (ROOT / "Dockerfile").read_text()
