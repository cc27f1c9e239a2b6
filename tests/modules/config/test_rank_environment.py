"""Variables that say which process of a run this is: left over, or set on purpose."""

import os

import pytest

import run  # noqa: F401  (brings the commands)
from config import run_command_line
from datasets.errors import InputError
from modules.config.rank_environment import check_ranks
from tests.kit.small_world import make_small_world, settings

LEFT_OVER = [
    (1, 1, "RANK=1"),
    (1, 1, "RANK=0 LOCAL_RANK=0 WORLD_SIZE=8"),
    (1, 1, "NODE_RANK=1"),
    (2, 1, "RANK=1"),  # this process would start the others
    (2, 1, "LOCAL_RANK=0"),  # nobody would start the other
    (2, 2, "WORLD_SIZE=2 MASTER_PORT=29500"),
    (1, 1, f"RANK=1 DEST_FIRST_RANK_PID={os.getpid()}"),  # of a run before, in this process
]
MEANT = [
    (1, 1, ""),
    (2, 1, "RANK=1 LOCAL_RANK=1 WORLD_SIZE=2 TORCHELASTIC_RUN_ID=one"),
    (2, 1, f"LOCAL_RANK=1 WORLD_SIZE=2 DEST_FIRST_RANK_PID={os.getppid()}"),
    (2, 1, "LOCAL_RANK=1 RANK=1 WORLD_SIZE=2 MASTER_PORT=29500"),
    (2, 2, "NODE_RANK=1 MASTER_PORT=29500"),
    (2, 1, "SLURM_PROCID=1 RANK=1 WORLD_SIZE=2 LOCAL_RANK=1"),
]


@pytest.mark.parametrize("case", LEFT_OVER + MEANT)
def test_left_over_or_meant(case):
    num_gpus, num_nodes, words = case
    environment = dict(word.split("=") for word in words.split())
    if case in MEANT:
        check_ranks(num_gpus, num_nodes, environment)
        return
    with pytest.raises(InputError, match=r"the environment says \w+=\w+.*: unset RANK LOCAL_RANK WORLD_SIZE"):
        check_ranks(num_gpus, num_nodes, environment)


def test_a_run_is_refused_before_it_begins(tmp_path, monkeypatch, capsys):
    world = make_small_world(tmp_path / "world")
    monkeypatch.setenv("RANK", "1")
    assert run_command_line(settings(world)) == 2
    assert "error: the environment says RANK=1, which does not fit num_gpus=1 num_nodes=1" in capsys.readouterr().err
    assert not (world / "result").exists()
