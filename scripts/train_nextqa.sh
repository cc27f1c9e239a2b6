#!/usr/bin/env bash
# Fine-tunes DeST on NExT-QA (multiple choice).
#   [CKPT=ckpt/trm.ckpt] [DATA_ROOT=data/nextqa] [NUM_GPUS=1] bash scripts/train_nextqa.sh [key=value …]
set -euo pipefail
source "$(dirname "$0")/python.sh"
start_from ckpt/trm.ckpt "the checkpoint of pre-training (DeST's, or best.ckpt of train_trm.sh)" "$@"

"$PYTHON" "$(dirname "$0")/../run.py" with \
    data_root="${DATA_ROOT:-data/nextqa}" num_gpus="${NUM_GPUS:-1}" num_nodes=1 load_path="$CKPT" \
    task_finetune_nextqa per_gpu_batchsize=8 "$@"
