#!/usr/bin/env bash
# Predicts the test split of ActivityNet-QA. QUIRKS=1: computes as the published code did, for the published checkpoint.
#   CKPT=anetqa.ckpt [DATA_ROOT=data/anetqa] [NUM_GPUS=1] [QUIRKS=1] bash scripts/infer_anetqa.sh [key=value …]
set -euo pipefail
source "$(dirname "$0")/python.sh"
: "${CKPT:?give the checkpoint: CKPT=anetqa.ckpt bash scripts/infer_anetqa.sh}"
quirks=$([ "${QUIRKS:-0}" = 1 ] && echo True || echo False)

"$PYTHON" "$(dirname "$0")/../run.py" with \
    data_root="${DATA_ROOT:-data/anetqa}" num_gpus="${NUM_GPUS:-1}" num_nodes=1 load_path="$CKPT" \
    task_finetune_anetqa per_gpu_batchsize=16 test_only=True published_quirks="$quirks" "$@"
