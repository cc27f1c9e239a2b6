# Sourced by demo.sh, test.sh and web_demo.sh, from the repository's root: sets PYTHON.
#   source scripts/environment.sh REQUIREMENTS
# A PYTHON that is set is taken as it is; otherwise .venv is made, once for each state of the requirements.

if [[ -z "${PYTHON:-}" ]]; then
    PYTHON="$PWD/.venv/bin/python"
    stamp=".venv/$1.installed"
    wanted="$(cat requirements*.txt | cksum)"
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
        echo "environment: installing $1; log: .venv/install.log"
        "$PYTHON" -m pip install --disable-pip-version-check -r "$1" >.venv/install.log 2>&1 || {
            tail -n 5 .venv/install.log >&2
            echo "FAILED: pip install -r $1 (log: $PWD/.venv/install.log)" >&2
            exit 1
        }
        echo "$wanted" >"$stamp"
    fi
elif ! PYTHON="$(command -v "$PYTHON")"; then
    echo "FAILED: PYTHON names no program that can be run" >&2
    exit 1
fi
export PYTHON
