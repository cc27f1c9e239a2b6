"""Curves of a run for Sacred's observers (``-F FOLDER``)."""

from collections.abc import Mapping
from typing import Any

from pytorch_lightning.loggers import Logger
from pytorch_lightning.utilities.rank_zero import rank_zero_only


class ObserverLog(Logger):
    """Hands on all that is logged, as curves: the metrics of the CSV log under the same names.

    Args:
        run: of Sacred; has `log_scalar(name, value, step)`.
    """

    name = version = None  # no folder of its own

    def __init__(self, run: Any):
        super().__init__()
        self._run = run

    def log_hyperparams(self, *_: Any, **__: Any) -> None:
        """Sacred has them."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        for name, value in metrics.items():
            if name != "epoch":
                self._run.log_scalar(name, float(value), step)
