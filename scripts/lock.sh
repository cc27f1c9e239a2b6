#!/usr/bin/env bash
# Writes locks/*.lock anew after a requirements*.txt has changed: the version of every package, and the hashes of its
# files, for Python 3.11 and later on any system. What is locked stays as it is where it can; --upgrade takes the newest.
#   [PYTHON=python of an environment with uv] bash scripts/lock.sh [--upgrade]
# run.lock, with cuda.lock or cpu.lock for PyTorch, is requirements.txt; demo, wandb and dev are what the others add.
# cpu.lock lists the builds of PyTorch without CUDA that pip finds here, by its configuration; those of other
# versions of Python that were found elsewhere stay.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh run demo wandb dev
made="$(mktemp -d)"
trap 'rm -r "$made"' EXIT
cat locks/*.lock >"$made/dev" # versions that uv keeps

compile() { # NAME FILE [OPTION …]
    "$PYTHON" -m uv pip compile --quiet --no-config --universal --python-version 3.11 --generate-hashes \
        --no-header --no-annotate --output-file "$made/$1" "${@:2}"
}
without() { # FILE FILE …: the packages of the last that the others have not
    awk 'FILENAME != last { known[$1]; next } /^[a-z]/ { new = !($1 in known) } new' last="${*: -1}" "$@"
}
compile dev requirements-dev.txt "$@"
compile run requirements.txt --constraint "$made/dev"
compile demo requirements-demo.txt --constraint "$made/dev"
compile wandb requirements-wandb.txt --constraint "$made/dev"

of_gpu='/^[a-z]/ { gpu = /^(torch|triton|cuda-.*|nvidia-.*)==/ }'
awk "$of_gpu gpu" "$made/run" >locks/cuda.lock
awk "$of_gpu !gpu" "$made/run" >locks/run.lock
without "$made/run" "$made/demo" >locks/demo.lock
without "$made/run" "$made/wandb" >locks/wandb.lock
without "$made/run" "$made/demo" "$made/wandb" "$made/dev" >locks/dev.lock

torch="$(grep '^torch==' requirements.txt)"
[[ "$(head -n 1 locks/cpu.lock)" == "$torch \\" ]] || echo "$torch \\" >locks/cpu.lock
for version in 3.11 3.12 3.13; do
    "$PYTHON" -m pip install --quiet --dry-run --no-deps --target "$made" --only-binary :all: \
        --python-version "$version" --report "$made/report" "$torch"
    if grep -qE '"version": ".*\+cpu"' "$made/report"; then
        echo "    --hash=sha256:$(grep -oE '[0-9a-f]{64}' "$made/report" | head -n 1) \\" >>locks/cpu.lock
    fi
done
{ head -n 1 locks/cpu.lock && tail -n +2 locks/cpu.lock | sed 's/ \\$//' | sort -u | sed '$!s/$/ \\/'; } >"$made/cpu"
cp "$made/cpu" locks/cpu.lock
wc -l locks/*.lock
