#!/usr/bin/env bash
# Predicts the test split of ActivityNet-QA with the mean-pooling baseline.
#   CKPT=anetqa_mean.ckpt [DATA_ROOT=data/anetqa] [NUM_GPUS=1] bash scripts/infer_anetqa_mean.sh [key=value …]
set -euo pipefail
source "$(dirname "$0")/python.sh"
: "${CKPT:?give the checkpoint: CKPT=anetqa_mean.ckpt bash scripts/infer_anetqa_mean.sh}"

"$PYTHON" "$(dirname "$0")/../run.py" with \
    data_root="${DATA_ROOT:-data/anetqa}" num_gpus="${NUM_GPUS:-1}" num_nodes=1 load_path="$CKPT" \
    task_finetune_anetqa_mean per_gpu_batchsize=8 test_only=True "$@"
