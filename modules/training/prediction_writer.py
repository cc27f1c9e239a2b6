"""Predictions of all ranks to one file, whole or not at all, and how many of them are right."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch.distributed as dist
from pytorch_lightning.callbacks import Callback

from datasets.errors import InputError
from datasets.files import check_writable, record_path, sha256_of, write_json


def check_free(path: Path, overwrite: bool) -> None:
    """Checks before the work that its predictions can be written.

    Raises:
        InputError: predictions of that name exist and may not be replaced, or cannot be written there.
    """
    if path.exists() and not path.is_dir() and not overwrite:
        raise InputError(f"{path} exists; add overwrite=True to replace it, or move it away")
    check_writable(path)
    check_writable(record_path(path))


def probed_path(path: Path, probe: str) -> Path:
    """Where the answers under a probe go: `A.json` -> `A_shuffle_clips.json`; "none" is no probe."""
    return path if probe == "none" else path.with_name(f"{path.stem}_{probe}{path.suffix}")


def free_name(path: Path, overwrite: bool) -> Path:
    """`path`, or the first of `…_2`, `…_3`, … beside it if something that must stay has come there meanwhile."""
    free, number = path, 1
    while free.is_dir() or (free.exists() and (free != path or not overwrite)):
        number += 1
        free = path.with_name(f"{path.stem}_{number}{path.suffix}")
    return free


class PredictionWriter(Callback):
    """Gathers what `predict_step` returns, a list of records with ``qid``, on rank 0, and writes it as JSON.

    The record of how they were made, and of which file it tells, goes to a file beside it (see `record_path`).
    Through the process group, not through files: ranks may share no disk. The LightningModule's
    ``summarize(records)`` makes what is written of the records of all ranks, and says how many are right.

    Args:
        overwrite: replace it if it exists. Otherwise, if it appears before the end, the file goes beside it, as `…_2`.
        make_record: says how the predictions are made, see `prediction_record`; asked at their beginning, on rank 0.
        probes: names; the records of each (its "probe") are a file of their own, see `probed_path`.
    """

    def __init__(
        self,
        path: str | Path,
        overwrite: bool = False,
        make_record: Callable[[], dict[str, Any]] = dict,
        probes: Sequence[str] = (),
    ):
        self.path = Path(path)
        self.overwrite = overwrite
        self.make_record = make_record
        self.record: dict[str, Any] = {}
        self.probes = list(probes) or ["none"]
        self.records: list[dict[str, Any]] = []

    def on_predict_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.records = []
        if trainer.is_global_zero and not trainer.fast_dev_run:
            self.record = self.make_record()

    def on_predict_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, *_: Any) -> None:
        self.records.extend(outputs)

    def on_predict_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.world_size > 1:
            parts = [None] * trainer.world_size if trainer.is_global_zero else None
            dist.gather_object(self.records, parts, group=pl_module.host_group)
            self.records = [record for part in parts or [] for record in part]
        if not trainer.is_global_zero or trainer.fast_dev_run:
            return
        for probe in self.probes:
            self._write(trainer, pl_module, probe)

    def _write(self, trainer: pl.Trainer, pl_module: pl.LightningModule, probe: str) -> None:
        records = [record for record in self.records if record.get("probe", "none") == probe]
        asked = len(trainer.predict_dataloaders.dataset)
        if len(records) != asked:
            raise RuntimeError(f"{len(records)} answers to {asked} questions: some were lost, or given twice")
        records, report = pl_module.summarize(records)
        wanted = probed_path(self.path, probe)
        path = free_name(wanted, self.overwrite)
        write_json(path, records)
        numbers = {"probe": probe, "questions": len(records), "predictions_sha256": sha256_of(path)}
        write_json(record_path(path), {**self.record, **numbers}, indent=1)
        instead = "" if path == wanted else f" ({wanted} exists: it appeared during the prediction)"
        under = "" if probe == "none" else f"{probe}: "
        print(f"{under}{report}\npredictions: {path}{instead}", flush=True)
