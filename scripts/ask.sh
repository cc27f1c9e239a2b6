#!/usr/bin/env bash
# Answers a question about a video file; save=out.png draws where and when the answer was found.
#   CKPT=best.ckpt [SWIN=swin_base_….pth] bash scripts/ask.sh VIDEO QUESTION [RECIPE] [key=value …]
# A published checkpoint does not say how it was trained; its recipe does, and where the answers are:
#   CKPT=anetqa.ckpt SWIN=swin_base_patch244_window877_kinetics600_22k.pth \
#       bash scripts/ask.sh VIDEO QUESTION task_finetune_anetqa published_quirks=True
set -euo pipefail
source "$(dirname "$0")/python.sh"
: "${CKPT:?give the checkpoint: CKPT=best.ckpt bash scripts/ask.sh VIDEO QUESTION}"
if (($# < 2)) || [[ "$2" != *" "* && "$2" == *=* ]]; then
    echo 'error: give a video and a question: CKPT=best.ckpt bash scripts/ask.sh VIDEO "what is the person doing"' >&2
    exit 2
fi
video="$1" question="$2"
shift 2
# As a Python string: "True" and "12" would be taken for other things than text.
backslash='\' quote="'"
question=${question//"$backslash"/"$backslash$backslash"}
question=${question//"$quote"/"$backslash$quote"}
question="'${question//[$'\r\n']/ }'"

"$PYTHON" "$(dirname "$0")/../run.py" ask with \
    load_path="$CKPT" ${SWIN:+swin_path="$SWIN"} video="$video" question="$question" "$@"
