#!/usr/bin/env bash
# Trains the mean-pooling baseline on ActivityNet-QA.
#   [CKPT=ckpt/vqa.pth] [DATA_ROOT=data/anetqa] [NUM_GPUS=1] bash scripts/train_anetqa_mean.sh [key=value …]
set -euo pipefail
source "$(dirname "$0")/python.sh"
start_from ckpt/vqa.pth "ALBEF's VQA checkpoint" "$@"

"$PYTHON" "$(dirname "$0")/../run.py" with \
    data_root="${DATA_ROOT:-data/anetqa}" num_gpus="${NUM_GPUS:-1}" num_nodes=1 load_path="$CKPT" \
    task_finetune_anetqa_mean per_gpu_batchsize=8 "$@"
