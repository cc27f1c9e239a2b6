import os
import signal

import pytest
import torch

from modules.stopping import LossWatch, StopSignals


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
