"""The toy world of the `toy_world` fixture, and runs on it."""

from pathlib import Path


def make_toy_world(folder: Path) -> None:
    # Imported here: most test runs have no need of it.
    from preproc import extract_features, preproc_anetqa, preproc_tgif, preproc_vatex
    from preproc.extract_frames import extract_frames
    from preproc.make_toy import make_toy

    raw, data = folder / "raw", folder / "data"
    make_toy(raw, scale=1e-3, size=64)
    for name, step in (("anetqa", preproc_anetqa), ("vatex", preproc_vatex), ("tgif", preproc_tgif)):
        step.preprocess(raw / name, data / name)
        arguments = [str(raw / name / "videos"), str(data / name / f"{name}.h5"), "--dataset", name, "--arch", "toy"]
        windows = "--random-start 2 --clip-len 8 --frame-interval 1 --window-interval 8 --size 64".split()
        assert extract_features.main([*arguments, *windows]) == 0
    extract_frames(raw / "anetqa" / "videos", data / "anetqa" / "frames", "anetqa")


def make_toy_checkpoint(toy_world: Path, folder: Path) -> None:
    import run  # noqa: F401  (brings the commands)
    from config import run_command_line

    words = toy_settings(toy_world, folder)
    assert run_command_line([*words, "exp_name=toy", "max_steps=3", "max_epoch=None", "warmup_steps=1"]) == 0


def toy_settings(toy_world: Path, folder: Path, recipe: str = "task_finetune_anetqa") -> list[str]:
    """The words of a run that writes to a folder."""
    places = [f"data_root={toy_world / 'data' / 'anetqa'}", f"tokenizer={toy_world / 'raw' / 'tokenizer'}"]
    return ["with", recipe, "toy", *places, f"log_dir={folder}"]
