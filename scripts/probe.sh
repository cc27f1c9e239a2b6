#!/usr/bin/env bash
# Predicts a test split with the evidence taken away or rearranged, in one pass over the videos: a file for each probe
# beside the predictions, for `eval.py … --probes`. Data set, sizes and sampling are the checkpoint's.
#   CKPT=best.ckpt DATA_ROOT=data/anetqa [PROBES=all] [NUM_GPUS=1] bash scripts/probe.sh [RECIPE] [key=value …]
set -euo pipefail
source "$(dirname "$0")/python.sh"
: "${CKPT:?give the checkpoint: CKPT=best.ckpt DATA_ROOT=data/anetqa bash scripts/probe.sh}"
: "${DATA_ROOT:?give the data: CKPT=best.ckpt DATA_ROOT=data/anetqa bash scripts/probe.sh}"

"$PYTHON" "$(dirname "$0")/../run.py" with "$@" \
    data_root="$DATA_ROOT" num_gpus="${NUM_GPUS:-1}" num_nodes=1 load_path="$CKPT" \
    test_only=True probe="${PROBES:-all}"
