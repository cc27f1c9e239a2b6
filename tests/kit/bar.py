"""A bar in place of a letter per test, as a plugin: ``pytest -p tests.kit.bar``."""

import pytest

WIDTH = 40


class Bar:
    """One line that is written anew after each test; the reporter of pytest counts, and lists failures at the end."""

    def __init__(self, reporter):
        self.reporter, self.done = reporter, 0
        reporter.showfspath = False

    @pytest.hookimpl(wrapper=True)
    def pytest_report_teststatus(self):
        category, *_ = yield
        return category, "", ""

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logreport(self, report):
        if report.when == "teardown":
            self.done += 1
            number = max(self.reporter._session.testscollected, self.done)
            full = "━" * (WIDTH * self.done // number)
            bad = sum(len(self.reporter.stats.get(kind, [])) for kind in ("failed", "error"))
            self.reporter.rewrite(f"{full:╌<{WIDTH}} {self.done} of {number}, {bad} failed", erase=True)


@pytest.hookimpl(trylast=True)
def pytest_configure(config):
    reporter = config.pluginmanager.getplugin("terminalreporter")
    if reporter is not None and config.get_verbosity() == 0:  # none in a worker of pytest-xdist
        config.pluginmanager.register(Bar(reporter))
