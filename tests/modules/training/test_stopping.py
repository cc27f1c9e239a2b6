"""Ends of a run before its end: signals, a loss that is not finite, a rank that is gone."""

import os
import signal

import pytest
import torch

from modules.training.stopping import SIGNALS, LossWatch, StopAtOnce, StoppedError, StopSignals
from tests.kit.processes import start

# With little patience for an error that is on its way: the tests wait as long.
IMPORTS = "import os, subprocess, sys, time; from modules.training import stopping; stopping._GRACE = 1\n"
IMPORTS += "from modules.training.stopping import *\n"
RANK = f"{IMPORTS}print(os.getpid(), flush=True); watch = watch_ranks(StopSignals()); watch.__enter__()\n"
SLEEP = "import time; time.sleep(600)"
KILL = "import os; os.kill(os.getpid(), 9)"
# The first rank, as Lightning's launcher starts the others.
OTHERS = f"""{IMPORTS}
from pytorch_lightning.strategies.launchers import subprocess_script
signals = StopAtOnce()
watch = watch_ranks(signals)
watch.__enter__()
others = [subprocess.Popen([sys.executable, "-c", code]) for code in (%r, %r)]
print(others[0].pid, flush=True)
subprocess_script._launch_process_observer(others)
"""
SHORT = "its error, if it had one, stands above; if memory was short, lower num_workers or per_gpu_batchsize;"


def test_the_first_bad_loss_is_named():
    watch = LossWatch()
    for step, loss in ((2, 0.5), (3, float("inf")), (4, float("nan"))):
        watch.add(step, [f"q{step}"], torch.tensor(loss))
    watch.look()
    assert watch.bad == (3, ["q3"])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_a_loss_on_a_gpu_is_not_waited_for():
    watch = LossWatch()
    torch.cuda._sleep(10_000_000_000)
    watch.add(1, ["q"], torch.tensor(float("nan"), device="cuda"))
    watch.look()
    assert watch.bad is None
    watch.settle()
    assert watch.bad == (1, ["q"])


def test_a_forked_worker_lives_through_ctrl_c_and_ends_on_sigterm():
    with StopSignals():
        child = os.fork()
        if child == 0:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 128 + signal.SIGTERM


@pytest.mark.parametrize("number", SIGNALS)
def test_a_stop_at_once_is_raised_once(number):
    with StopAtOnce() as signals:
        with pytest.raises(StoppedError, match=f"stopped by {number.name}, with nothing written"):
            os.kill(os.getpid(), number)
        if number != signal.SIGINT:  # a second Ctrl-C ends the process
            os.kill(os.getpid(), number)
        assert signals.received == number


@pytest.mark.parametrize("is_early", [True, False])  # before the other looks for it
def test_the_others_end_with_the_first_rank(is_early):
    other = f"{'import time; time.sleep(2)' if is_early else ''}\n{RANK}time.sleep(600)"
    other = f"subprocess.Popen([sys.executable, '-c', {other!r}], env=os.environ | {{'LOCAL_RANK': '1'}})\n"
    first = start("-c", RANK + other + (KILL if is_early else SLEEP))
    pids = [int(first.stdout.readline()) for _ in range(2)]
    first.kill()
    assert pids[0] == first.pid
    said = f"error: rank 0 (process {first.pid}) is gone; {SHORT} continue with resume_from=last\n"
    assert first.communicate(timeout=180)[0] == said  # at the end of both


@pytest.mark.parametrize("ranks", [{}, {"DEST_FIRST_RANK_PID": "999999999", "TORCHELASTIC_RUN_ID": "one"}])
def test_ranks_that_torchrun_starts_do_not(ranks):
    lived = start("-c", f"{RANK}time.sleep(2.5); print('lives')", LOCAL_RANK="1", **ranks)
    assert lived.communicate()[0].endswith("lives\n")


@pytest.mark.parametrize(("end", "how"), [(KILL, "was killed by SIGKILL"), ("exit(3)", "ended with code 3")])
def test_the_first_rank_ends_with_another_and_takes_the_third_with_it(end, how):
    first = start("-c", OTHERS % (end, SLEEP) + SLEEP)
    said = f"error: rank 1 (process {int(first.stdout.readline())}) {how}; {SHORT} start it again\n"
    assert (first.communicate(timeout=180)[0], first.returncode) == (said, 2)  # at the end of all three
