# Sourced by demo.sh, test.sh and others, from the repository's root: sets PYTHON.
#   source scripts/environment.sh run [demo] [wandb] [dev]
# A PYTHON that is set is taken as it is; otherwise .venv is made of these locks/*.lock, once for each state of them.
# Each file that pip installs must have a hash that is locked. PyTorch: the build that pip takes by its configuration.

if [[ -z "${PYTHON:-}" ]]; then
    PYTHON="$PWD/.venv/bin/python"
    stamp=".venv/$*.installed"
    wanted="$(cat locks/*.lock | cksum)"
    if [[ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]]; then
        if [[ ! -x "$PYTHON" ]]; then
            for base in python3 python3.11 python3.12 python3.13 ""; do
                if [[ -z "$base" ]]; then
                    echo "FAILED: no Python 3.11, 3.12 or 3.13 found; install one, or set PYTHON to an environment" >&2
                    exit 1
                fi
                "$base" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && break
            done
            echo "environment: .venv of $("$base" --version)"
            "$base" -m venv .venv || {
                echo "FAILED: $base -m venv .venv (Debian and Ubuntu: apt install python3-venv)" >&2
                exit 1
            }
        fi
        pip=("$PYTHON" -m pip --disable-pip-version-check install)
        wheel="$("${pip[@]}" --quiet --dry-run --no-deps --ignore-installed --report - \
            "$(grep '^torch==' requirements.txt)" 2>.venv/install.log | grep -oE '[0-9a-f]{64}' | head -n 1 || true)"
        torch="$(grep -q "sha256:${wheel:-none}" locks/cpu.lock && echo cpu || echo cuda)"
        echo "environment: installing what is locked for $* $torch; log: .venv/install.log"
        "${pip[@]}" --require-hashes $(printf -- '-r locks/%s.lock ' "$@" "$torch") >>.venv/install.log 2>&1 || {
            tail -n 5 .venv/install.log >&2
            echo "FAILED: pip install of what is locked in locks/ for $* $torch (log: $PWD/.venv/install.log)" >&2
            exit 1
        }
        echo "$wanted" >"$stamp"
    fi
elif ! PYTHON="$(command -v "$PYTHON")"; then
    echo "FAILED: PYTHON names no program that can be run" >&2
    exit 1
fi
export PYTHON
