# Sourced by ask.sh, slurm.sh, train_*.sh and infer_*.sh: sets PYTHON, unless it is set, to .venv's, or to what the path has.

if [[ -z "${PYTHON:-}" ]]; then
    PYTHON="$(dirname "${BASH_SOURCE[0]}")/../.venv/bin/python"
    [[ -x "$PYTHON" ]] || PYTHON=python
fi

# start_from FILE WHAT [key=value …]: sets CKPT, unless it is set, to where the published README puts the checkpoint.
start_from() {
    [[ -z "${CKPT:-}" ]] || return 0
    CKPT="$1"
    if [[ ! -e "$CKPT" && " ${*:3} " != *" load_path="* ]]; then
        echo "error: there is no $CKPT: put $2 there, or give another file: CKPT=FILE bash $0" >&2
        exit 2
    fi
}
