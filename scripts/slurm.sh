#!/bin/bash
#SBATCH --nodes=1 --ntasks-per-node=8 --gpus-per-node=8 --cpus-per-task=9
#SBATCH --time=24:00:00 --signal=USR1@120 --requeue --open-mode=append
# Trains in a SLURM job, a task for each GPU; two minutes before the time is up a checkpoint is written, and the job goes
# back into the queue to continue from it. From the repository's root:
#   sbatch [--nodes=2 --time=…] scripts/slurm.sh RECIPE [key=value …]
#   sbatch scripts/slurm.sh task_pretrain_trm load_path=ckpt/vqa.pth per_gpu_batchsize=16
#   sbatch scripts/slurm.sh task_finetune_anetqa load_path=ckpt/trm.ckpt per_gpu_batchsize=8
set -euo pipefail
root="$(dirname "${BASH_SOURCE[0]}")/.."
[[ -e "$root/run.py" ]] || root="$PWD" # SLURM runs a copy of this file, in the folder where sbatch was called
if [[ ! -e "$root/run.py" ]]; then
    echo "error: $PWD is not the repository's root; call sbatch there, or give it --chdir=FOLDER" >&2
    exit 2
fi
if [[ -z "${SLURM_JOB_ID:-}" || -z "${SLURM_NTASKS_PER_NODE:-}" ]]; then
    echo "error: this is no SLURM job with --ntasks-per-node: sbatch scripts/slurm.sh RECIPE [key=value …]" >&2
    exit 2
fi
source "$root/scripts/python.sh"

# In a task. The shell outlives the signal, and the first rank, which alone ends with 75 when it was stopped, gives the
# others time to end well before --kill-on-bad-exit ends them. A rank that dies takes all with it at once.
task='trap : USR1 TERM; code=0; "$@" || code=$?; ((code != 75)) || sleep 10; exit "$code"'
code=0
srun --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" --kill-on-bad-exit=1 bash -c "$task" task \
    "$PYTHON" "$root/run.py" with num_gpus="$SLURM_NTASKS_PER_NODE" num_nodes="$SLURM_NNODES" "$@" \
    ${SLURM_RESTART_COUNT:+resume_from=auto} || code=$?

if ((code == 75)); then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
