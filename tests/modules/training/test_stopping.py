import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
import torch

from modules.training.stopping import LossWatch, StopAtOnce, StoppedError, StopSignals
from tests.kit.paths import ROOT


class TestLossWatch:
    def test_names_the_first_bad_step(self):
        watch = LossWatch()
        for step, loss in ((1, 0.5), (2, float("inf")), (3, float("nan"))):
            watch.add(step, [f"q{step}"], torch.tensor(loss))
        watch.look()
        assert watch.bad == (2, ["q2"])

    def test_finite(self):
        watch = LossWatch()
        watch.add(1, ["q"], torch.tensor(3.0, requires_grad=True) * 2)
        watch.settle()
        assert watch.bad is None

    @pytest.mark.gpu
    @pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
    def test_on_a_gpu_the_loss_is_not_waited_for(self):
        watch = LossWatch()
        torch.cuda._sleep(10_000_000_000)
        watch.add(1, ["q"], torch.tensor(float("nan"), device="cuda"))
        watch.look()
        assert watch.bad is None
        watch.settle()
        assert watch.bad == (1, ["q"])


class TestStopSignals:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
    def test_remembers_and_gives_back(self, number):
        before = signal.getsignal(number)
        with StopSignals() as signals:
            assert signals.received is None
            os.kill(os.getpid(), number)
            assert signals.received == number
        assert signal.getsignal(number) == before

    def test_taken_again_after_another_library(self):
        with StopSignals() as signals:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            signals.install()
            os.kill(os.getpid(), signal.SIGTERM)
            assert signals.received == signal.SIGTERM

    def test_forked_worker_lives_through_ctrl_c_and_ends_on_sigterm(self):
        with StopSignals():
            child = os.fork()
            if child == 0:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGTERM)
                os._exit(1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 128 + signal.SIGTERM


class TestStopAtOnce:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
    def test_raises_once(self, number):
        with StopAtOnce() as signals:
            with pytest.raises(StoppedError, match=f"stopped by {number.name}, with nothing written"):
                os.kill(os.getpid(), number)
            if number != signal.SIGINT:  # a second Ctrl-C ends the process
                os.kill(os.getpid(), number)
            assert signals.received == number


def lives(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def run_code(code: str, **environment: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", f"import os, subprocess, sys, time\n{code}"],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "LOCAL_RANK"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


# With little patience for an error that is on its way: the tests wait as long.
IMPORTS = "from modules.training import stopping; from modules.training.stopping import *; stopping._GRACE = 1;"
RANK = f"print(os.getpid(), flush=True); {IMPORTS} watch = watch_ranks(StopSignals()); watch.__enter__();"
FIRST = "import subprocess; subprocess.Popen([sys.executable, '-c', %r], env=os.environ | {'LOCAL_RANK': '1'});"


class TestWatchRanks:
    @pytest.mark.parametrize("when", ["at once", "later"])
    def test_the_others_end_with_the_first(self, when):
        """Even if it is gone before they look for it."""
        other = f"import os, time; {'time.sleep(2);' if when == 'at once' else ''} {RANK} time.sleep(600)"
        end = "os.kill(os.getpid(), 9)" if when == "at once" else "time.sleep(600)"
        first = run_code(f"{RANK} {FIRST % other} {end}")
        pids = [int(first.stdout.readline()) for _ in range(2)]
        first.kill()
        assert pids[0] == first.pid
        deadline = time.monotonic() + 180  # a busy machine takes long to import
        while lives(pids[1]) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not lives(pids[1])
        assert first.communicate()[0] == (
            f"error: rank 0 (process {first.pid}) is gone; its error, if it had one, stands above; if memory was "
            "short, lower num_workers or per_gpu_batchsize; continue with resume_from=last\n"
        )

    def test_nobody_else_does(self):
        """Those that torchrun starts, and what the first rank starts beside."""
        assert run_code(f"{RANK} time.sleep(2.5); print('lives')", LOCAL_RANK="1").communicate()[0].endswith("lives\n")
        inherited = {"LOCAL_RANK": "1", "DEST_FIRST_RANK_PID": "999999999", "TORCHELASTIC_RUN_ID": "one"}
        assert run_code(f"{RANK} time.sleep(2.5); print('lives')", **inherited).communicate()[0].endswith("lives\n")
        start = f"import subprocess; subprocess.run([sys.executable, '-c', {'import os, time;' + RANK!r}])"
        assert run_code(f"{RANK} {start}").communicate()[0].count("\n") == 2

    @pytest.mark.parametrize(
        ("end", "how"), [("os.kill(os.getpid(), 9)", "was killed by SIGKILL"), ("os._exit(3)", "ended with code 3")]
    )
    def test_the_first_ends_with_another(self, end, how):
        """And takes the third with it."""
        first = run_code(OTHERS % (f"import os; {end}", "import time; time.sleep(600)") + "time.sleep(600)")
        pids = first.stdout.readline().split()
        assert first.communicate(timeout=180)[0] == (
            f"error: rank 1 (process {pids[0]}) {how}; its error, if it had one, stands above; if memory was short, "
            "lower num_workers or per_gpu_batchsize; start it again\n"
        )
        assert first.returncode == 2
        assert not lives(int(pids[1]))

    def test_silent_when_the_first_has_said_why(self):
        """Its error names those that ended before, and ends those that have not."""
        first = run_code(
            OTHERS
            % ("import os; os.kill(os.getpid(), 9)", "import time; time.sleep(600)")
            + "error = KeyError('own'); left = watch.__exit__(KeyError, error, None); print(error.__notes__, left);"
            "print([other.wait() for other in others])"
        )
        pids = first.stdout.readline().split()
        said = first.communicate(timeout=180)[0]
        assert said == f"['rank 1 (process {pids[0]}) was killed by SIGKILL'] False\n[-9, -9]\n"
        assert first.returncode == 0

    def test_an_orderly_end_is_waited_for(self):
        first = run_code(
            OTHERS % ("import time; time.sleep(600)", "") + "signals.received = signal.SIGTERM; others[0].kill();"
            "time.sleep(4); watch.__exit__(None, None, None); sys.exit(75)"
        )
        first.stdout.readline()
        assert first.communicate(timeout=180)[0] == ""
        assert first.returncode == 75


# The first rank, as Lightning's launcher starts the others.
OTHERS = (
    f"{IMPORTS}\n"
    + """
from pytorch_lightning.strategies.launchers import subprocess_script
signals = StopAtOnce()
watch = watch_ranks(signals)
watch.__enter__()
others = [subprocess.Popen([sys.executable, "-c", code]) for code in (%r, %r)]
print(*(other.pid for other in others), flush=True)
subprocess_script._launch_process_observer(others)
"""
)
