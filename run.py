"""Trains, validates, tests: ``python run.py with RECIPE key=value …`` (settings and recipes: config.py)."""

import contextlib
import sys
from pathlib import Path
from typing import Any

from config import Config, ex, run_command_line, settings_text
from datasets.errors import run_cli
from modules.config.checks import check_tokenizer, check_values
from modules.config.machine_checks import choose_precision, takes_slurm_for_a_machine
from modules.config.path_checks import check_asked, check_files

# Objective -> the class that makes its batches, the class that learns from them.
OBJECTIVES = {
    "qa": ("datamodules.qa.QADataModule", "modules.objectives.open_ended_qa.OpenEndedQA"),
    "trm": ("datamodules.trm.TRMDataModule", "modules.objectives.temporal_referring.TemporalReferring"),
}


@ex.main
@run_cli
def main(_config: dict[str, Any], _run: Any) -> int:
    """Train; with test_only=True, test."""
    # Imported here, so that a misspelt word on the command line is answered at once.
    import pytorch_lightning as pl
    import torch
    from pytorch_lightning.plugins.environments import LightningEnvironment
    from pytorch_lightning.strategies import DDPStrategy

    from modules.checkpoints.loading import NEEDED_TO_TRAIN
    from modules.checkpoints.metadata import make_metadata
    from modules.config.assembly import construct, locate
    from modules.models.device_settings import switch_devices
    from modules.models.precision import precision_plugin
    from modules.models.settings import ModelSizes
    from modules.objectives.settings import OptimizerSettings
    from modules.training.checkpointing import AtomicCheckpointIO, Checkpoints
    from modules.training.failures import explained
    from modules.training.observers import ObserverLog
    from modules.training.plan import plan_run
    from modules.training.prediction_writer import PredictionWriter
    from modules.training.progress import RunSummary, progress_callback, quiet_libraries
    from modules.training.run_folder import (
        CHECKPOINTS,
        LogPosition,
        new_run_folder,
        run_folder_of,
        run_loggers,
        sole_writer,
    )
    from modules.training.run_log import RunLog
    from modules.training.start import check_resumable, start_weights
    from modules.training.stopping import STOPPED_EXIT_CODE, StopAtOnce, StoppedError, StopSignals, watch_ranks
    from modules.training.validation_schedule import ValidationSchedule

    quiet_libraries()
    given, recipes = _run.meta_info["config_updates"], _run.meta_info["named_configs"]

    # Settings, some of which the checkpoint decides
    plan = plan_run(check_values(_config, Config), Config, given, recipes)
    config, checkpoint, made_with, resume_path = plan.config, plan.checkpoint, plan.made_with, plan.resume_path

    switch_devices(config["precision"])

    # Seed
    pl.seed_everything(config["seed"], workers=True, verbose=False)

    # Data
    brought = {}
    if made_with.get("tokenizer_vocabulary") and "tokenizer" not in given:
        brought["tokenizer"] = made_with["tokenizer_vocabulary"]
    if made_with.get("vocabulary") and config["test_only"]:
        brought["vocabulary"] = made_with["vocabulary"]
    data_class, model_class = map(locate, OBJECTIVES[config["objective"]])
    data = construct(data_class, brought, config, config["bert_config"])
    check_tokenizer(data.tokenizer.vocab_size, config)

    # Model
    parts = (config["vit_config"], config["bert_config"], config["answer_config"])
    sizes = construct(ModelSizes, {"max_clips": config["max_pos_len"]}, *parts, config)
    optimizer = construct(OptimizerSettings, config)
    with explained(config):
        model = construct(model_class, {"sizes": sizes, "optimizer": optimizer}, config, data)
    vocabulary, preprocessing = (getattr(data, name, None) for name in ("vocabulary", "preprocessing"))
    model.metadata = make_metadata(sizes, config, vocabulary, data.tokenizer.vocab, preprocessing)
    if resume_path is not None:
        check_resumable(resume_path, made_with, model.metadata["vocabulary"], config, Config)
    else:
        needed = None if config["test_only"] else NEEDED_TO_TRAIN
        start_weights(model.model, checkpoint, needed, config["answer_encoder"])

    # Callbacks, loggers
    signals = StopAtOnce() if config["test_only"] else StopSignals()
    callbacks = [RunSummary(config), progress_callback()]
    loggers = []
    if config["test_only"]:
        folder = Path(config["log_dir"])
        callbacks.append(PredictionWriter(plan.predictions, config["overwrite"]))
    else:
        folder = run_folder_of(resume_path) if resume_path is not None else None
        folder = folder or construct(new_run_folder, config)
        to_checkpoints = {"folder": folder / CHECKPOINTS, "signals": signals}
        schedule = construct(ValidationSchedule, config)
        callbacks += [schedule, construct(Checkpoints, to_checkpoints, config)]
        if not config["fast_dev_run"]:
            loggers = run_loggers(folder, LogPosition.of(checkpoint) if resume_path is not None else None)
            loggers += [ObserverLog(_run)] if _run.observers else []
            callbacks.append(RunLog(config))

    # Trainer
    devices = config["num_gpus"] * config["num_nodes"]
    accumulate = 1 if config["test_only"] else config["batch_size"] // (config["per_gpu_batchsize"] * devices)
    on_gpu = config["accelerator"] != "cpu" and torch.cuda.is_available()
    trainer = pl.Trainer(
        accelerator="gpu" if on_gpu else "cpu",
        devices=config["num_gpus"],
        num_nodes=config["num_nodes"],
        # Buffers are constants. DDP would send them before every forward pass, and in validation, where ranks have
        # different numbers of batches, some would wait for a pass that never comes.
        strategy=DDPStrategy(broadcast_buffers=False) if devices > 1 else "auto",
        max_epochs=config["max_epoch"] or -1,
        max_steps=config["max_steps"] or -1,
        accumulate_grad_batches=accumulate,
        fast_dev_run=config["fast_dev_run"],
        default_root_dir=folder,
        logger=loggers,
        log_every_n_steps=10,
        callbacks=callbacks,
        plugins=[
            AtomicCheckpointIO(),
            precision_plugin(config["precision"], "cuda" if on_gpu else "cpu"),
            *([LightningEnvironment()] if takes_slurm_for_a_machine() else []),
        ],
        enable_model_summary=False,
        num_sanity_val_steps=1,
        use_distributed_sampler=False,  # the data module shards; each question exactly once
        inference_mode=False,  # but no_grad: in inference mode autocast keeps no rounded weights from chunk to chunk
    )

    # Fit or test
    writes = not config["test_only"] and not config["fast_dev_run"]
    alone = sole_writer(folder) if writes else contextlib.nullcontext()
    try:
        with explained(config, folder, signals), signals, watch_ranks(signals), alone:
            if config["test_only"]:
                trainer.predict(model, data, return_predictions=False)
            else:
                trainer.fit(model, data, ckpt_path=resume_path, weights_only=True)
    except StoppedError as stopped:
        if trainer.is_global_zero:
            then = "start it again" if config["test_only"] else "continue with the same command and resume_from=last"
            print(f"{stopped}; {then}", flush=True)
        return STOPPED_EXIT_CODE if trainer.is_global_zero else 0
    return 0


@ex.command(unobserved=True)
@run_cli
def ask(_config: dict[str, Any], _run: Any) -> int:
    """Answer questions about a video file; with save=FILE, show where and when the answer was found."""
    import torch
    from rich.console import Console

    from datasets.video.ffmpeg import find_ffmpeg
    from modules.inference.picture import picture_paths, save_picture
    from modules.inference.predictor import Asker, read_questions
    from modules.inference.table import answer_table, times_line
    from modules.models.device_settings import switch_devices
    from modules.training.progress import quiet_libraries

    quiet_libraries()
    config = check_values(_config, Config)
    given, recipes = _run.meta_info["config_updates"], _run.meta_info["named_configs"]
    check_asked(config)
    find_ffmpeg()  # one that cannot be used is found before anything is loaded
    questions = config["question"] + read_questions(config["question_file"])
    pictures = picture_paths(config["save"], len(questions))
    device, precision = choose_precision(config, given, torch.cuda.device_count())
    switch_devices(precision)

    asker = Asker.open(config["load_path"], config["swin_path"], config, given, device, precision, recipes)
    console = Console(highlight=False, markup=False, emoji=False)  # file names are shown as they are
    for note in asker.notes:
        console.print(f"note: {note}")
    look = asker.look(config["video"])
    if look.seen.damage:
        console.print(f"note: {config['video']} is damaged ({look.seen.damage}); what could be decoded was used")
    answers = asker.ask(look, questions, with_maps=bool(pictures))
    for answer in answers:
        console.print(answer_table(answer), "")
    for path, answer in zip(pictures, answers, strict=False):
        save_picture(path, look, answer)
        console.print(f"picture: {path}", soft_wrap=True)
    console.print(times_line(asker.seconds), soft_wrap=True)
    return 0


@ex.command(unobserved=True)
@run_cli
def web(_config: dict[str, Any], _run: Any) -> int:
    """Serve a page on which videos can be dropped and asked about."""
    import torch

    from datasets.video.ffmpeg import find_ffmpeg
    from modules.config.assembly import construct
    from modules.inference.predictor import Asker, read_questions
    from modules.inference.web_demo import find_examples, serve
    from modules.models.device_settings import switch_devices
    from modules.training.progress import quiet_libraries

    quiet_libraries()
    config = check_values(_config, Config)
    given, recipes = _run.meta_info["config_updates"], _run.meta_info["named_configs"]
    check_files(config, ("load_path", "swin_path", "question_file"))
    find_ffmpeg()  # one that cannot be used is found before anything is loaded
    offered = {
        "examples": find_examples(config["examples"]),
        "questions": config["question"] + read_questions(config["question_file"]),
    }
    device, precision = choose_precision(config, given, torch.cuda.device_count())
    switch_devices(precision)
    asker = Asker.open(config["load_path"], config["swin_path"], config, given, device, precision, recipes)
    construct(serve, {"asker": asker, **offered}, config)
    return 0


@ex.command(unobserved=True)
@run_cli
def print_config(_config: dict[str, Any], _run: Any) -> int:
    """Show what would run: every setting by group, what differs from the default marked; and what would stop it."""
    config = check_values(_config, Config)
    given, recipes = _run.meta_info["config_updates"], _run.meta_info["named_configs"]
    if not given and not recipes:
        print(settings_text(config))  # the list of all settings
        return 0
    from modules.training.plan import plan_run
    from modules.training.progress import quiet_libraries

    quiet_libraries()
    try:
        config = plan_run(config, Config, given, recipes).config
    finally:
        print(settings_text(config), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(run_command_line(sys.argv[1:]))
