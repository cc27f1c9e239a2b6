"""Runs on the toy world of the `toy_world` fixture."""

from pathlib import Path


def toy_settings(toy_world: Path, folder: Path, recipe: str = "task_finetune_anetqa") -> list[str]:
    """The words of a run that writes to a folder."""
    return [
        *("with", recipe, "toy", f"data_root={toy_world / 'data' / 'anetqa'}", f"log_dir={folder}"),
        f"tokenizer={toy_world / 'raw' / 'tokenizer'}",
    ]
