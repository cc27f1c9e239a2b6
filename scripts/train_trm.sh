#!/usr/bin/env bash
# Pre-trains the temporal stream on VATEX and TGIF by Temporal Referring Modeling.
#   [CKPT=ckpt/vqa.pth] [DATA_ROOT=data] [NUM_GPUS=1] bash scripts/train_trm.sh [key=value …]
set -euo pipefail
source "$(dirname "$0")/python.sh"
start_from ckpt/vqa.pth "ALBEF's VQA checkpoint" "$@"

"$PYTHON" "$(dirname "$0")/../run.py" with \
    data_root="${DATA_ROOT:-data}" num_gpus="${NUM_GPUS:-1}" num_nodes=1 load_path="$CKPT" \
    task_pretrain_trm per_gpu_batchsize=16 "$@"
