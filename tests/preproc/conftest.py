"""What tests of the preprocessing share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from datasets.video.ffmpeg import find_ffmpeg


@pytest.fixture
def refused(capsys) -> Callable[..., str]:
    """Runs a script that must end with one line of error, which is returned."""

    def run(main: Callable[[list[str]], int], *arguments: object) -> str:
        capsys.readouterr()
        assert main(list(map(str, arguments))) == 2
        line = capsys.readouterr().err.splitlines()[-1]  # before it, a bar of progress
        assert line.startswith("error: ")
        return line

    return run


@pytest.fixture
def program_file(tmp_path) -> Callable[[str, str], Path]:
    """Makes a program of a shell script."""

    def make(name: str, text: str) -> Path:
        script = tmp_path / name
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"#!/bin/sh\n{text}\n")
        script.chmod(0o755)
        return script

    return make


@pytest.fixture
def stand_in(program_file, monkeypatch) -> Callable[[str], None]:
    """Makes a program the ffmpeg that is used; in it $REAL is the real one."""

    def use(text: str) -> None:
        script = program_file("stand_in", f'REAL="{find_ffmpeg()}"\n{text}')
        for module in ("datasets.video.ffmpeg", "modules.inference.video_input"):
            monkeypatch.setattr(f"{module}.find_ffmpeg", lambda: str(script))

    return use


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
