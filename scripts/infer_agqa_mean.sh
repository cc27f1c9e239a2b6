#!/usr/bin/env bash
# Predicts the test split of AGQA 2.0 with the mean-pooling baseline.
#   CKPT=agqa_mean.ckpt [DATA_ROOT=data/agqa] [NUM_GPUS=1] bash scripts/infer_agqa_mean.sh [key=value …]
set -euo pipefail
source "$(dirname "$0")/python.sh"
: "${CKPT:?give the checkpoint: CKPT=agqa_mean.ckpt bash scripts/infer_agqa_mean.sh}"

"$PYTHON" "$(dirname "$0")/../run.py" with \
    data_root="${DATA_ROOT:-data/agqa}" num_gpus="${NUM_GPUS:-1}" num_nodes=1 load_path="$CKPT" \
    task_finetune_agqa_mean per_gpu_batchsize=32 test_only=True "$@"
