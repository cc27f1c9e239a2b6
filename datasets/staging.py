"""Writing several files that appear together, once all of them are complete."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from datasets.errors import InputError


@contextlib.contextmanager
def staged(output_dir: str | os.PathLike) -> Iterator[Path]:
    """Yields an empty folder; when the block ends without an error, its files move into `output_dir`.

    After an error nothing is left of them, and what `output_dir` held before is untouched.

    Raises:
        InputError: `output_dir` cannot be written, or the disk is full.
    """
    output_dir = Path(output_dir)
    try:
        with contextlib.ExitStack() as cleanup:
            for folder in _missing_folders(output_dir):  # outermost first; on the way out innermost first
                folder.mkdir()
                cleanup.callback(_remove_if_empty, folder)
            # Beside the results, so that moving them is a rename on the same file system.
            staging = Path(tempfile.mkdtemp(prefix=".staged-", dir=output_dir))
            cleanup.callback(shutil.rmtree, staging, ignore_errors=True)
            yield staging
            files = sorted(staging.iterdir())
            for file in files:
                if (output_dir / file.name).is_dir():
                    raise InputError(f"cannot write {output_dir / file.name}: it is a folder")
            for file in files:
                _flush_to_disk(file)
            for file in files:
                file.replace(output_dir / file.name)
    except OSError as error:
        raise InputError(f"cannot write to {output_dir}: {error.strerror or error}") from error


def _missing_folders(folder: Path) -> list[Path]:
    return [path for path in reversed([folder, *folder.parents]) if not path.exists()]


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def _flush_to_disk(file: Path) -> None:
    with file.open("rb") as stream:
        os.fsync(stream.fileno())
