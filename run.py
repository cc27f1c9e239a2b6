"""Trains, validates, tests: ``python run.py with RECIPE key=value …`` (settings and recipes: config.py).

What takes seconds to import is imported where it is used: a misspelt word on the command line is answered at once.
"""

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config import Config, ex, run_command_line, settings_text
from datasets.errors import run_cli
from datasets.files import read_list
from modules.config.assembly import construct, locate
from modules.config.checks import check_tokenizer, check_values
from modules.config.machine_checks import choose_precision
from modules.config.path_checks import check_asked, check_files
from modules.config.rank_environment import is_first_rank

if TYPE_CHECKING:
    from datamodules.base import EpochDataModule
    from modules.inference.predictor import Predictor
    from modules.objectives.objective import Objective
    from modules.training.plan import RunPlan

# Objective -> the class that makes its batches, the class that learns from them.
OBJECTIVES = {
    "qa": ("datamodules.qa.QADataModule", "modules.objectives.open_ended_qa.OpenEndedQA"),
    "mc": ("datamodules.choices.ChoiceDataModule", "modules.objectives.multiple_choice.MultipleChoice"),
    "trm": ("datamodules.trm.TRMDataModule", "modules.objectives.temporal_referring.TemporalReferring"),
}


def read_command(_config: dict[str, Any], run: Any) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """All settings, those of them that the command line gives, and its recipes; for what needs the libraries."""
    from modules.training.logs.quiet import quiet_libraries

    quiet_libraries()
    return check_values(_config, Config), run.meta_info["config_updates"], run.meta_info["named_configs"]


@ex.main
@run_cli
def main(_config: dict[str, Any], _run: Any) -> int:
    """Train; with test_only=True, test."""
    config, given, recipes = read_command(_config, _run)
    from modules.training.plan import plan_run
    from modules.training.stopping import STOPPED_EXIT_CODE, StoppedError

    plan = plan_run(config, Config, given, recipes)
    try:
        if plan.config["test_only"]:
            test(plan)
        else:
            train(plan, _run)
    except StoppedError as stopped:
        if not is_first_rank():
            return 0
        then = "start it again" if config["test_only"] else "continue with the same command and resume_from=last"
        print(f"{stopped}; {then}", flush=True)
        return STOPPED_EXIT_CODE
    return 0


def train(plan: "RunPlan", run: Any) -> None:
    """Trains a network from the weights of a checkpoint, from random ones, or on from where a run stopped."""
    from modules.training.checkpointing import Checkpoints
    from modules.training.failures import explained
    from modules.training.logs.observers import ObserverLog
    from modules.training.logs.progress import RunSummary, progress_callback
    from modules.training.logs.run_log import RunLog
    from modules.training.plan import check_resumable
    from modules.training.run_folder import (
        CHECKPOINTS,
        LogPosition,
        new_run_folder,
        run_folder_of,
        run_loggers,
        sole_writer,
    )
    from modules.training.stopping import StopSignals, watch_ranks
    from modules.training.trainer import make_trainer
    from modules.training.validation_schedule import ValidationSchedule

    config, resume_path = plan.config, plan.resume_path
    data, objective = prepare(plan)
    folder = position = None
    if resume_path is not None:
        check_resumable(plan, objective.metadata["vocabulary"], Config)
        folder, position = run_folder_of(resume_path), LogPosition.of(plan.checkpoint)
    folder = folder or construct(new_run_folder, config)
    signals = StopSignals()
    checkpoints = construct(Checkpoints, {"folder": folder / CHECKPOINTS, "signals": signals}, config)
    callbacks = [RunSummary(config), progress_callback(), construct(ValidationSchedule, config), checkpoints]
    loggers, alone = [], contextlib.nullcontext()
    if not config["fast_dev_run"]:
        loggers = [*run_loggers(folder, position, config["logger"]), *([ObserverLog(run)] if run.observers else [])]
        callbacks.append(RunLog(config))
        alone = sole_writer(folder)
    trainer = make_trainer(config, folder, callbacks, loggers)
    with explained(config, folder, signals), signals, watch_ranks(signals), alone:
        trainer.fit(objective, data, ckpt_path=resume_path, weights_only=True)


def test(plan: "RunPlan") -> None:
    """Writes the answers to all test questions, and says how many are right."""
    from modules.training.failures import explained
    from modules.training.logs.progress import RunSummary, progress_callback
    from modules.training.prediction_writer import PredictionWriter
    from modules.training.provenance import prediction_record
    from modules.training.stopping import StopAtOnce, watch_ranks
    from modules.training.trainer import make_trainer

    config, folder = plan.config, Path(plan.config["log_dir"])
    data, objective = prepare(plan)
    writer = PredictionWriter(
        plan.predictions, config["overwrite"], lambda: prediction_record(plan, data), config["probe"]
    )
    callbacks = [RunSummary(config), progress_callback(), writer]
    trainer = make_trainer(config, folder, callbacks, [])
    signals = StopAtOnce()
    with explained(config, folder, signals), signals, watch_ranks(signals):
        trainer.predict(objective, data, return_predictions=False)


def prepare(plan: "RunPlan") -> "tuple[EpochDataModule, Objective]":
    """The data, and the network with its weights in what trains or tests it."""
    from pytorch_lightning import seed_everything

    from modules.checkpoints.loading import NEEDED_TO_TRAIN
    from modules.checkpoints.metadata import make_metadata
    from modules.checkpoints.network import build_network
    from modules.models.precision import switch_devices
    from modules.objectives.settings import OptimizerSettings
    from modules.training.failures import explained

    config, resumes = plan.config, plan.resume_path is not None
    switch_devices(config["precision"])
    seed_everything(config["seed"], workers=True, verbose=False)
    data_class, objective_class = map(locate, OBJECTIVES[config["objective"]])
    data = construct(data_class, plan.brought, config, config["bert_config"])
    trained_with = plan.made_with.get("tokenizer_vocabulary") if config["test_only"] else None  # training may change it
    check_tokenizer(data.tokenizer.vocab, config, trained_with)
    with explained(config):
        network = build_network(
            None if resumes else plan.checkpoint,  # Lightning loads those of a run that goes on
            config,
            objective_class.network_class,
            needed=None if config["test_only"] else NEEDED_TO_TRAIN,
            answer_encoder="" if resumes else config["answer_encoder"],
            verbose=not resumes,
        )
        parts = {"network": network, "optimizer": construct(OptimizerSettings, config)}
        objective = construct(objective_class, parts, config, data)
    vocabulary, preprocessing = (getattr(data, name, None) for name in ("vocabulary", "preprocessing"))
    words = data.tokenizer.vocab
    objective.metadata = make_metadata(network.sizes, config, vocabulary, words, preprocessing, plan.recipes)
    return data, objective


def open_predictor(config: dict[str, Any], given: dict[str, Any], recipes: list[str]) -> "Predictor":
    """The network that `ask` and `web` ask, on one device."""
    import torch

    from modules.inference.predictor import Predictor
    from modules.models.precision import switch_devices

    device, precision = choose_precision(config, given, torch.cuda.device_count())
    switch_devices(precision)
    return Predictor.open(config["load_path"], config["swin_path"], config, given, device, precision, recipes)


@ex.command(unobserved=True)
@run_cli
def ask(_config: dict[str, Any], _run: Any) -> int:
    """Answer questions about a video file; with save=FILE, show where and when the answer was found."""
    config, given, recipes = read_command(_config, _run)
    from rich.console import Console

    from datasets.video.ffmpeg import find_ffmpeg
    from modules.inference.picture import picture_paths, save_picture
    from modules.inference.table import answer_table, times_line

    check_asked(config)
    find_ffmpeg()  # one that cannot be used is found before anything is loaded
    questions = config["question"] + read_list("question_file", config["question_file"], "question")
    pictures = picture_paths(config["save"], len(questions))
    predictor = open_predictor(config, given, recipes)
    console = Console(highlight=False, markup=False, emoji=False)  # file names are shown as they are
    for note in predictor.notes:
        console.print(f"note: {note}")
    video = predictor.encode_video(config["video"])
    if video.seen.damage:
        console.print(f"note: {config['video']} is damaged ({video.seen.damage}); what could be decoded was used")
    answers = predictor.answer(video, questions, with_maps=bool(pictures))
    for answer in answers:
        console.print(answer_table(answer, config["not_sure_below"]), "")
    for path, answer in zip(pictures, answers, strict=False):
        save_picture(path, video, answer)
        console.print(f"picture: {path}", soft_wrap=True)
    console.print(times_line(predictor.seconds), soft_wrap=True)
    return 0


@ex.command(unobserved=True)
@run_cli
def web(_config: dict[str, Any], _run: Any) -> int:
    """Serve a page on which videos can be dropped and asked about."""
    config, given, recipes = read_command(_config, _run)
    from datasets.video.ffmpeg import find_ffmpeg
    from modules.inference.web_demo import find_examples, serve

    check_files(config, ("load_path", "swin_path", "question_file", "answer_file"))
    find_ffmpeg()  # one that cannot be used is found before anything is loaded
    examples = find_examples(config["examples"])
    questions = config["question"] + read_list("question_file", config["question_file"], "question")
    predictor = open_predictor(config, given, recipes)
    construct(serve, {"predictor": predictor, "examples": examples, "questions": questions}, config)
    return 0


@ex.command(unobserved=True)
@run_cli
def print_config(_config: dict[str, Any], _run: Any) -> int:
    """Show what would run: every setting by group, what differs from the default marked; and what would stop it."""
    config = check_values(_config, Config)
    if not _run.meta_info["config_updates"] and not _run.meta_info["named_configs"]:
        print(settings_text(config))  # the list of all settings
        return 0
    _, given, recipes = read_command(_config, _run)
    from modules.training.plan import plan_run

    try:
        config = plan_run(config, Config, given, recipes).config
    finally:
        print(settings_text(config), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(run_command_line(sys.argv[1:]))
