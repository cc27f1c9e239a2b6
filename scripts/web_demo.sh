#!/usr/bin/env bash
# A page on this machine, http://127.0.0.1:7860: drop a video, ask, see the answers. Without CKPT: on the toy world that
# scripts/demo.sh has left.
#   [CKPT=best.ckpt] [SWIN=swin_base_….pth] [TOY=toy] bash scripts/web_demo.sh [--host HOST] [--port PORT] [key=value …]
# A published checkpoint does not say how it was trained; its recipe does, and where the answers are:
#   CKPT=anetqa.ckpt SWIN=swin_base_….pth bash scripts/web_demo.sh task_finetune_anetqa published_quirks=True
set -euo pipefail
from="$PWD"
cd "$(dirname "${BASH_SOURCE[0]}")/.."

settings=()
while (($#)); do
    case "$1" in
    --host=* | --port=*) settings+=("${1#--}") ;;
    --host | --port)
        if (($# < 2)); then
            echo "error: $1 needs a value" >&2
            exit 2
        fi
        settings+=("${1#--}=$2")
        shift
        ;;
    -*)
        echo "error: there is no option $1; bash scripts/web_demo.sh [--host HOST] [--port PORT] [key=value …]" >&2
        exit 2
        ;;
    *) settings+=("$1") ;;
    esac
    shift
done

if [[ -n "${CKPT:-}" ]]; then
    # The files are named from where the command was given.
    settings=(load_path="$(cd "$from" && realpath -m "$CKPT")" "${settings[@]}")
    [[ -z "${SWIN:-}" ]] || settings=(swin_path="$(cd "$from" && realpath -m "$SWIN")" "${settings[@]}")
else
    toy="${TOY:-toy}"
    checkpoint="$toy/checkpoints/anetqa_with_trm.ckpt"
    if [[ ! -e "$checkpoint" ]]; then
        echo "error: no CKPT is given, and there is no $checkpoint; run \`bash scripts/demo.sh\` first, or give CKPT" >&2
        exit 2
    fi
    questions="['what acted at the beginning','what acted at the end','what is below the sign','where does it happen']"
    settings=(load_path="$checkpoint" examples="$toy/raw/anetqa/videos" question="$questions" "${settings[@]}")
fi
source scripts/environment.sh run demo

exec "$PYTHON" run.py web with "${settings[@]}"
