"""The folder that preprocessing writes to, and files that appear in it together, once all of them are complete."""

import argparse
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from datasets.errors import InputError, explained
from datasets.names import is_system_entry
from datasets.writing.locks import sole_writer


def annotations_parser(description: str, output_dir: Path) -> argparse.ArgumentParser:
    """The command line of all preprocessing of annotations: `input_dir`, and `output_dir` with ``-o`` or without."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-i", "--input-dir", type=Path, required=True, help="folder of the published files")
    told = "folder to write to (default: %(default)s)"
    parser.add_argument("-o", "--output-dir", type=Path, default=output_dir, help=told)
    # Without a default of its own, which would take the place of what -o says, or a type, which would read it.
    parser.add_argument("output_dir", nargs="?", default=argparse.SUPPRESS, help="the same without -o")
    return parser


@contextlib.contextmanager
def staged(output_dir: str | os.PathLike) -> Iterator[Path]:
    """Yields an empty folder; when the block ends without an error, its files move into `output_dir`.

    After an error nothing is left of them, and what `output_dir` held before is untouched.

    Raises:
        InputError: `output_dir` cannot be written, another process is writing it so, or the disk is full.
    """
    output_dir = Path(output_dir)
    with explained(f"cannot write to {output_dir}"), contextlib.ExitStack() as cleanup:
        missing = [path for path in (output_dir, *output_dir.parents) if not path.exists()]
        for folder in reversed(missing):  # outermost first; on the way out innermost first
            folder.mkdir()
            cleanup.callback(_remove_if_empty, folder)
        # Beside the results, so that moving them is a rename on the same file system.
        staging = Path(tempfile.mkdtemp(prefix=".staged-", dir=output_dir))
        cleanup.callback(shutil.rmtree, staging, ignore_errors=True)
        cleanup.enter_context(sole_writer(output_dir / ".preproc.lock", output_dir))
        yield staging
        files = sorted(path for path in staging.iterdir() if not is_system_entry(path.name))
        for file in files:
            if (output_dir / file.name).is_dir():
                raise InputError(f"cannot write {output_dir / file.name}: it is a folder")
        for file in files:
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
        for file in files:
            file.replace(output_dir / file.name)


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()
