#!/usr/bin/env bash
# Accuracy of a TRM checkpoint on the validation questions, by type.
#   CKPT=trm.ckpt [DATA_ROOT=data] [NUM_GPUS=1] bash scripts/infer_trm.sh [key=value …]
set -euo pipefail
source "$(dirname "$0")/python.sh"
: "${CKPT:?give the checkpoint: CKPT=trm.ckpt bash scripts/infer_trm.sh}"

"$PYTHON" "$(dirname "$0")/../run.py" with \
    data_root="${DATA_ROOT:-data}" num_gpus="${NUM_GPUS:-1}" num_nodes=1 load_path="$CKPT" \
    task_pretrain_trm per_gpu_batchsize=32 test_only=True "$@"
