#!/usr/bin/env bash
# Answers a question about a video file; save=out.png draws where and when the answer was found.
#   CKPT=anetqa.ckpt [SWIN=swin_base_patch244_window877_kinetics600_22k.pth] bash scripts/ask.sh VIDEO QUESTION [key=value …]
set -euo pipefail
: "${CKPT:?give the checkpoint: CKPT=anetqa.ckpt bash scripts/ask.sh VIDEO QUESTION}"
if (($# < 2)) || [[ "$2" != *" "* && "$2" == *=* ]]; then
    echo 'error: give a video and a question: CKPT=anetqa.ckpt bash scripts/ask.sh VIDEO "what is the person doing"' >&2
    exit 2
fi
video="$1" question="$2"
shift 2

"${PYTHON:-python}" "$(dirname "$0")/../run.py" ask with \
    load_path="$CKPT" ${SWIN:+swin_path="$SWIN"} video="$video" question="$question" "$@"
