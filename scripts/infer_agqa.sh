#!/usr/bin/env bash
# Predicts the test split of AGQA 2.0. QUIRKS=1: computes as the published code did, for the published checkpoint.
#   CKPT=agqa.ckpt [DATA_ROOT=data/agqa] [NUM_GPUS=1] [QUIRKS=1] bash scripts/infer_agqa.sh [key=value …]
set -euo pipefail
source "$(dirname "$0")/python.sh"
: "${CKPT:?give the checkpoint: CKPT=agqa.ckpt bash scripts/infer_agqa.sh}"
quirks=$([ "${QUIRKS:-0}" = 1 ] && echo True || echo False)

"$PYTHON" "$(dirname "$0")/../run.py" with \
    data_root="${DATA_ROOT:-data/agqa}" num_gpus="${NUM_GPUS:-1}" num_nodes=1 load_path="$CKPT" \
    task_finetune_agqa per_gpu_batchsize=32 test_only=True published_quirks="$quirks" "$@"
