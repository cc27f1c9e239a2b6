#!/usr/bin/env bash
# The test suite; makes .venv with what requirements-dev.txt lists the first time.
# On all cores, a file of tests on one; one after the other, as pytest itself does it: -n 0.
#   [PYTHON=python of an environment that exists] bash scripts/test.sh [arguments of pytest …]
# What takes longer than half a minute a test (kills at file operations, and the like): bash scripts/test.sh -m slow
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh run demo wandb dev

echo "tests: $("$PYTHON" --version)"
"$PYTHON" -m pytest --numprocesses auto --dist loadfile "$@" || {
    echo "FAILED: the tests (see above)" >&2
    exit 1
}
