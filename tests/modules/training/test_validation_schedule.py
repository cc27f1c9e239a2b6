"""The steps after which a validation is due."""

import pytest

from modules.training.validation_schedule import ValidationSchedule


@pytest.mark.parametrize(
    ("interval", "epoch", "due"),
    [
        (0.5, 15, [8, 15]),
        (0.2, 6, [2, 3, 4, 5, 6]),
        (1 / 3, 7, [3, 5, 7]),
        (0.01, 3, [1, 2, 3]),
        (0.1, 30, [*range(3, 31, 3)]),
        (4, 6, [4, 8, 12]),
    ],
)
def test_shares_of_an_epoch_or_steps_over_epochs(interval, epoch, due):
    """The last share ends the epoch; there may be more shares than steps."""
    schedule = ValidationSchedule(interval)
    found = [step for step in range(1, 2 * epoch + 1) if schedule.is_due(step, (step - 1) % epoch + 1, epoch)]
    assert found == (due + [step + epoch for step in due] if isinstance(interval, float) else due)
