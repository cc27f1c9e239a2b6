"""The steps after which a validation is due."""

import pytest

from modules.training.validation_schedule import ValidationSchedule


@pytest.mark.parametrize(
    ("share", "steps_per_epoch", "due"),
    [(0.5, 15, [8, 15]), (1 / 3, 7, [3, 5, 7]), (1.0, 7, [7]), (0.01, 3, [1, 2, 3]), (0.1, 30, [*range(3, 31, 3)])],
)
def test_shares_of_an_epoch(share, steps_per_epoch, due):
    """The last ends it; they may be more than there are steps."""
    schedule = ValidationSchedule(share)
    assert [step for step in range(1, steps_per_epoch + 1) if schedule.is_due(99, step, steps_per_epoch)] == due


def test_steps_go_on_over_epochs():
    schedule = ValidationSchedule(4)
    assert [step for step in range(1, 13) if schedule.is_due(step, 1, 7)] == [4, 8, 12]
