# Sourced by ask.sh, train_*.sh and infer_*.sh: sets PYTHON, unless it is set, to .venv's, or to what the path has.

if [[ -z "${PYTHON:-}" ]]; then
    PYTHON="$(dirname "${BASH_SOURCE[0]}")/../.venv/bin/python"
    [[ -x "$PYTHON" ]] || PYTHON=python
fi
