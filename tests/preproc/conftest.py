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
def stand_in(program, monkeypatch) -> Callable[[str], None]:
    """Makes a program the ffmpeg that is used; in it $REAL is the real one."""

    def use(text: str) -> None:
        script = program(f'REAL="{find_ffmpeg()}"\n{text}', "stand_in")
        for module in ("datasets.video.ffmpeg", "modules.inference.video_input"):
            monkeypatch.setattr(f"{module}.find_ffmpeg", lambda: str(script))

    return use


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
