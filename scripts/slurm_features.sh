#!/bin/bash
#SBATCH --gpus=1 --cpus-per-task=9 --time=24:00:00 --requeue --open-mode=append
# Extracts clip features in a SLURM array job of SHARDS tasks, one GPU each, and joins them in a job that waits for all of
# them. The rest are the words of preproc/extract_features.py. From the repository's root:
#   [SBATCH_PARTITION=… SBATCH_TIMELIMIT=…] bash scripts/slurm_features.sh SHARDS VIDEOS OUT.h5 --dataset NAME [option …]
# If a task ends early, the joining job is dropped: give the same command again, what is done is not done again.
set -euo pipefail
if [[ ! -e preproc/extract_features.py ]]; then
    echo "error: $PWD is not the repository's root; call this script there" >&2
    exit 2
fi
source scripts/python.sh

if [[ -z "${SLURM_JOB_ID:-}" ]]; then
    if [[ ! "${1:-}" =~ ^[1-9][0-9]*$ ]] || (($# < 4)); then
        echo "error: bash scripts/slurm_features.sh SHARDS VIDEOS OUT.h5 --dataset NAME [option …]; SHARDS is a number" >&2
        exit 2
    fi
    last=$(($1 - 1))
    shift
    job="$(sbatch --parsable --array="0-$last" "$0" "$@")"
    sbatch --dependency="afterok:${job%%;*}" --kill-on-invalid-dep=yes --gpus=0 "$0" "$@" --merge
elif [[ -n "${SLURM_ARRAY_TASK_ID:-}" ]]; then
    exec "$PYTHON" preproc/extract_features.py "$@" --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT"
else
    exec "$PYTHON" preproc/extract_features.py "$@"
fi
