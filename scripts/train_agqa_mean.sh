#!/usr/bin/env bash
# Trains the mean-pooling baseline on AGQA 2.0.
#   [CKPT=ckpt/vqa.pth] [DATA_ROOT=data/agqa] [NUM_GPUS=1] bash scripts/train_agqa_mean.sh [key=value …]
set -euo pipefail
source "$(dirname "$0")/python.sh"
start_from ckpt/vqa.pth "ALBEF's VQA checkpoint" "$@"

"$PYTHON" "$(dirname "$0")/../run.py" with \
    data_root="${DATA_ROOT:-data/agqa}" num_gpus="${NUM_GPUS:-1}" num_nodes=1 load_path="$CKPT" \
    task_finetune_agqa_mean per_gpu_batchsize=32 "$@"
