"""A disk that is full: one line that names the file, and the checkpoints that were whole stay."""

from modules.training import checkpointing
from tests.kit.runs import load, run_folder, say
from tests.kit.small_world import make_small_world, settings


def test_checkpoints(tmp_path, monkeypatch, capsys):
    save, calls = checkpointing.torch.save, []

    def fill(checkpoint, file):
        calls.append(1)
        save(checkpoint, open("/dev/full", "wb", buffering=0) if len(calls) == 3 else file)  # noqa: PTH123, SIM115

    monkeypatch.setattr(checkpointing.torch, "save", fill)
    error = say(capsys, settings(make_small_world(tmp_path), "exp_name=full", "checkpoint_steps=1"), 2)
    folder = run_folder(tmp_path, "full") / "checkpoints"
    assert error.startswith(f"error: cannot write {folder / 'next.ckpt'}: No space left on device")
    assert {path.name: load(path)["global_step"] for path in folder.iterdir()} == {"last.ckpt": 2, "previous.ckpt": 1}
