"""What the steps of demo.sh are doing, on a terminal: ``python scripts/live.py LOGS``, until SIGTERM ends it.

A step that runs has LOGS/NAME.running, and its output in LOGS/NAME.log, from which its bar, accuracy and time left are
read. Lines of LOGS/said, on steps that are done, are printed above.
"""

import re
import signal
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

STEPS = re.compile(r"(\d+) steps in all")
AT_STEP = re.compile(r"step (\d+)  train/")
PART = re.compile(r"(?:prediction  batch |\| )(\d+)/(\d+)")  # of predictions; of a bar
VALUES = re.compile(r"(loss|accuracy) ([\d.]+)")


def share_done(text: str) -> float:
    """Of a step, by its log; 0 where that does not say."""
    steps, at = STEPS.search(text), AT_STEP.findall(text)
    if steps:
        return int(at[-1]) / int(steps[1]) if at else 0.0
    parts = PART.findall(text)
    return int(parts[-1][0]) / max(1, int(parts[-1][1])) if parts else 0.0


def values(text: str) -> str:
    """The last accuracy of training or validation, or the loss."""
    found = dict(VALUES.findall(text))
    return next((f"{name} {found[name]}" for name in ("accuracy", "loss") if name in found), "")


def line_of(running: Path) -> tuple[str, ProgressBar, str, str]:
    """Name, bar, accuracy and time left of a step that runs."""
    log = running.with_suffix(".log")
    began, written = running.stat().st_mtime, log.stat().st_mtime
    text = log.read_text(errors="replace")
    share, took = share_done(text), time.time() - began
    left = ""
    if share > 0:  # what the log said when it was written
        whole = max((written - began) / share, took)
        share, left = min(took / whole, 0.99), f"{whole - took:.0f} s left"
    bar = ProgressBar(total=1, completed=share, width=24, pulse=not share)
    return running.stem, bar, values(text), left or f"{took:.0f} s"


def lines(logs: Path) -> Table:
    table = Table.grid(padding=(0, 2))
    for running in sorted(logs.glob("*.running")):
        try:
            table.add_row(*line_of(running))
        except FileNotFoundError:  # it has just begun, or ended
            continue
    return table


def main(logs: Path) -> None:
    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: ended.append(number))
    console = Console(highlight=False, markup=False, emoji=False)
    with (logs / "said").open() as said, Live(console=console, auto_refresh=False, transient=True) as live:
        while True:
            last = bool(ended)  # before what was said is read: nothing is said any more
            done = said.read()
            live.update(lines(logs))
            if done:
                console.print(done, end="")  # which draws what runs below it
            if last:
                return
            live.refresh()
            time.sleep(0.2)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
