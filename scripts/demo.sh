#!/usr/bin/env bash
# The whole road on a toy world, in minutes on two CPU cores: videos and annotations -> frames and features ->
# training -> predictions -> a table of accuracies.
#   [PYTHON=python of an environment that exists] [TOY=folder] [SEED=0] bash scripts/demo.sh [anetqa|agqa|nextqa]
# A second run reuses what is there; delete the folder (toy/ by default) to start anew.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

dataset="${1:-anetqa}"
case "$dataset" in
anetqa) truth=test.csv evaluation=anet models=(mean without_trm with_trm) ;;
agqa) truth=test.json evaluation=agqa models=(mean without_trm with_trm) ;;
nextqa) truth=test.csv evaluation=next models=(without_trm with_trm) ;;
*)
    echo "error: there is no demo of '$dataset'; bash scripts/demo.sh [anetqa|agqa|nextqa]" >&2
    exit 2
    ;;
esac
source scripts/environment.sh run

seed="${SEED:-0}"
toy="${TOY:-toy}"
[[ -n "${TOY:-}" || "$seed" == 0 ]] || toy="toy_seed$seed"
raw="$toy/raw" data="$toy/data" logs="$toy/logs" checkpoints="$toy/checkpoints" result="$toy/result"
mkdir -p "$logs" "$data" "$checkpoints" "$result"
began=$SECONDS

# On a terminal live.py shows what the steps that run are doing; it prints what `say` writes, then, and nobody else does.
# What still runs when the demo ends ends with it: groups of processes, and live.py.
live="" groups=()
if [[ -t 1 ]]; then
    rm -f "$logs"/*.running
    : >"$logs/said"
    "$PYTHON" scripts/live.py "$logs" &
    live=$!
fi
end_live() {
    [[ -n "$live" ]] || return 0
    kill "$live" 2>/dev/null || true
    while kill -0 "$live" 2>/dev/null; do sleep 0.05; done
    live=""
}
finish() {
    local group
    for group in "${groups[@]}"; do kill -- "-$group" 2>/dev/null || true; done
    end_live
}
trap finish EXIT
trap 'exit 130' INT TERM

say() {
    if [[ -n "$live" ]]; then printf "$@" >>"$logs/said"; else printf "$@"; fi
}

# step NAME COMMAND…: runs a command unless it has been run before; its output goes to a log.
step() {
    local name="$1" start=$SECONDS
    shift
    if [[ -e "$logs/$name.done" ]]; then
        say '%-28s done before\n' "$name"
        return
    fi
    touch "$logs/$name.running"
    if ! "$@" >"$logs/$name.log" 2>&1; then
        end_live
        say '%-28s FAILED\n' "$name"
        tr '\r' '\n' <"$logs/$name.log" | tail -n 15 >&2
        echo "FAILED: the step '$name' of the demo (log: $logs/$name.log)" >&2
        exit 1
    fi
    rm -f "$logs/$name.running"
    touch "$logs/$name.done"
    say '%-28s %4d s\n' "$name" $((SECONDS - start))
}

# together COMMAND COMMAND: both at a time, each with half of the processors, which networks as small as these use
# better than all of them. If one fails, or the demo is stopped, the other ends, too.
together() {
    local -x OMP_NUM_THREADS=$((($(nproc) + 1) / 2))
    set -m # a process group each, to be ended as a whole
    $1 &
    groups=($!)
    $2 &
    groups+=($!)
    set +m
    wait -n "${groups[@]}" || exit 1
    { wait "${groups[0]}" && wait "${groups[1]}"; } || exit 1
    groups=()
}

# train NAME SETTINGS…: trains, and keeps the best checkpoint as NAME.ckpt.
train() {
    local name="$1"
    shift
    rm -rf "$result/${name}_seed$seed" # left by a run that was stopped
    # `step` asks how this ends, and bash then no longer stops at the first command that fails.
    "$PYTHON" run.py with "$@" exp_name="$name" seed="$seed" log_dir="$result" tokenizer="$raw/tokenizer" || return
    cp "$result/${name}_seed$seed"/version_0/checkpoints/best.ckpt "$checkpoints/$name.ckpt"
}

# predict NAME RECIPE [key=value …]: answers the test split.
predict() {
    "$PYTHON" run.py with "$2" toy data_root="$data/$dataset" load_path="$checkpoints/$1.ckpt" \
        test_only=True overwrite=True log_dir="$result" tokenizer="$raw/tokenizer" "${@:3}"
}

# Frames of the size that the toy recipe trains with: smaller files, read several times faster.
frames() {
    "$PYTHON" preproc/extract_frames.py "$raw/$1/videos" "$data/$1/frames" --dataset "$2" --short-side 64
}

# The features of a Video Swin that was never trained tell events apart, which is all the toy needs. A window of 8 frames
# each second: two windows an event.
features() {
    "$PYTHON" preproc/extract_features.py "$raw/$1/videos" "$data/$1/$1.h5" --dataset "$1" \
        --arch toy --random-start 2 --clip-len 8 --frame-interval 1 --window-interval 8 --size 64
}

# From the second training on the image encoder is frozen, as in the recipes. Three have the same budget of fine-tuning.
fine_tune() { # MODEL RECIPE FROM
    step "train-${dataset}_$1" train "${dataset}_$1" "$2" toy data_root="$data/$dataset" \
        load_path="$checkpoints/$3.ckpt" nframe=2 max_epoch=10
}

answers() { # MODEL RECIPE
    step "predict-${dataset}_$1" predict "${dataset}_$1" "$2"
}

probes() { # MODEL RECIPE
    step "probe-${dataset}_$1" predict "${dataset}_$1" "$2" probe=all
}

stills() {
    step annotations-stills "$PYTHON" preproc/preproc_anetqa.py -i "$raw/stills" -o "$data/stills"
    step frames-stills frames stills anetqa
}

# ALBEF's part: image and text encoder, trained on questions that a single frame answers, nothing frozen.
image_language() {
    step train-albef train albef task_finetune_anetqa_mean toy data_root="$data/stills" freeze="[]" \
        nframe=1 questions_per_video=2 max_epoch=12 learning_rate=5e-4 val_check_interval=255
}

annotations() {
    if [[ "$dataset" == nextqa ]]; then # read as published
        mkdir -p "$data/nextqa" && cp "$raw"/nextqa/*.csv "$raw"/nextqa/*.json "$data/nextqa"
    else
        "$PYTHON" "preproc/preproc_$dataset.py" -i "$raw/$dataset" -o "$data/$dataset"
    fi
}

videos() {
    step "annotations-$dataset" annotations
    step "frames-$dataset" frames "$dataset" "$dataset"
    step "features-$dataset" features "$dataset"
    local captioned
    for captioned in vatex tgif; do
        step "annotations-$captioned" "$PYTHON" "preproc/preproc_$captioned.py" -i "$raw/$captioned" \
            -o "$data/$captioned"
        step "features-$captioned" features "$captioned"
    done
}

without_pretraining() {
    if [[ "$dataset" != nextqa ]]; then
        fine_tune mean "task_finetune_${dataset}_mean" albef
        answers mean "task_finetune_${dataset}_mean"
    fi
    fine_tune without_trm "task_finetune_$dataset" albef
    answers without_trm "task_finetune_$dataset"
}

with_pretraining() {
    step train-trm train trm task_pretrain_trm toy data_root="$data" load_path="$checkpoints/albef.ckpt" \
        batch_size=32 per_gpu_batchsize=32 max_steps=2400 val_check_interval=1200 val_questions=500
    fine_tune with_trm "task_finetune_$dataset" trm
}

step toy-world "$PYTHON" preproc/make_toy.py -o "$raw" --seed "$seed"
stills
together image_language videos
together without_pretraining with_pretraining
together "answers with_trm task_finetune_$dataset" "probes with_trm task_finetune_$dataset"
end_live

predictions=()
for model in "${models[@]}"; do
    predictions+=("$result/${dataset}_by_${dataset}_$model.json")
done
if [[ "$dataset" == nextqa && -e "$checkpoints/anetqa_with_trm.ckpt" ]]; then
    # The demo of ActivityNet-QA has left a network that has never seen a choice.
    step predict-nextqa_zero_shot predict anetqa_with_trm task_finetune_nextqa
    predictions+=("zero_shot=$result/nextqa_by_anetqa_with_trm.json")
fi

page=(--report "$toy/${dataset}_report.html" --frames "$data/$dataset/frames")
page+=(--train "$data/$dataset/${truth/test/train}")
for run in "${dataset}_mean" "${dataset}_without_trm" "${dataset}_with_trm" trm; do
    folder="$result/${run}_seed$seed/version_0"
    if [[ -e "$folder/metrics.csv" ]]; then page+=(--log "$folder"); fi
done
echo
"$PYTHON" eval.py "$evaluation" "${predictions[@]}" "$data/$dataset/$truth" "${page[@]}" --probes
echo "Questions of order: Motion and Temporal Relation (AGQA: sequencing, superlative, action-recognition; NExT-QA: T); any"
echo "single frame answers the others. $((SECONDS - began)) s in all; predictions in $result, TensorBoard logs beside them."
echo "These networks know drawings alone; of other videos they answer with as much confidence, and mean nothing by it."
echo "To look at, in a browser: $toy/${dataset}_report.html"
