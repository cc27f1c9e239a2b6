#!/usr/bin/env bash
# Predicts the test split of NExT-QA (multiple choice), also with a checkpoint of open-ended questions.
#   CKPT=best.ckpt [DATA_ROOT=data/nextqa] [NUM_GPUS=1] bash scripts/infer_nextqa.sh [key=value …]
set -euo pipefail
source "$(dirname "$0")/python.sh"
: "${CKPT:?give the checkpoint: CKPT=best.ckpt bash scripts/infer_nextqa.sh}"

"$PYTHON" "$(dirname "$0")/../run.py" with \
    data_root="${DATA_ROOT:-data/nextqa}" num_gpus="${NUM_GPUS:-1}" num_nodes=1 load_path="$CKPT" \
    task_finetune_nextqa per_gpu_batchsize=16 test_only=True "$@"
