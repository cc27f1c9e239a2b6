#!/usr/bin/env bash
# On a machine with a GPU: all tests that are for one, then the benchmarks on it; what they print is kept in a file.
#   [PYTHON=python of an environment that exists] [OUT=result/gpu.txt] bash scripts/gpu.sh [arguments of pytest …]
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source scripts/environment.sh run demo wandb dev
out="${OUT:-result/gpu.txt}"

"$PYTHON" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' || {
    echo "FAILED: PyTorch finds no GPU here" >&2
    exit 1
}
mkdir -p "$(dirname "$out")"
: >"$out"
failed=""

run() {
    echo "--- python $*"
    "$PYTHON" "$@" 2>&1 || failed+="${failed:+; }python $*"
}

{
    run -m pytest -m gpu "$@"
    run -m benchmarks.inference --device cuda
    for precision in 16 bf16 tf32 32; do
        run -m benchmarks.train_step --device cuda --precision "$precision"
    done
    run -m benchmarks.features --device cuda --precision 16 bf16 tf32 32
} > >(tee -a "$out")
wait $!
if [[ -n "$failed" ]]; then
    echo "FAILED: $failed (log: $out)" >&2
    exit 1
fi
echo "all of it passed; log: $out"
