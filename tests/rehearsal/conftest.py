from .device import STEPS


def pytest_terminal_summary(terminalreporter):
    if STEPS:
        terminalreporter.section("steps on the device")
    for step in STEPS:
        terminalreporter.line(str(step))
