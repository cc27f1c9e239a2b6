"""Broken annotations, vocabularies, predictions and logs."""

import csv
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from numpy.random import Generator

import eval
from datamodules.qa import QADataModule
from datasets.question_table import QuestionTable
from datasets.sources import agqa, anetqa, msrvttqa, tgif, vatex
from preproc import preproc_agqa, preproc_anetqa, preproc_tgif

from .cases import Case, command, digest
from .mutations import broken_csv, broken_json, broken_tsv, damage


def qa_data(world: Path) -> QADataModule:
    return QADataModule(
        datasets=["anetqa"],
        data_root=world / "data",
        per_gpu_batchsize=4,
        nframe=2,
        image_size=16,
        input_video_embed_size=8,
        tokenizer=world / "tokenizer",
    )


def train_once(world: Path) -> None:
    """Reads all that a training run reads."""
    data = qa_data(world)
    data.setup("fit")
    for loader in (data.train_dataloader(), data.val_dataloader()):
        for _ in loader:
            pass


def as_rows(path: Path, table: QuestionTable, extra: str) -> str:
    videos, more = table.video_ids, table.column(extra).to_pylist()
    return digest(
        [
            [table.qid(row), table.question(row), table.answer(row), videos[table.video(row)], more[row]]
            for row in range(len(table))
        ]
    )


def csv_cases(folder: Path, random: Generator) -> Iterator[Case]:
    path = folder / "data/train.csv"

    def read() -> str:
        train_once(folder)
        return as_rows(path, anetqa.read_questions(path), "type")

    def reference() -> str:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.DictReader(file, strict=True))
        rows = [[row[name] for name in ("qid", "question", "answer", "video_id", "type")] for row in rows]
        assert len({row[0] for row in rows}) == len(rows), "a question twice"
        assert all(row[4] in set("012345678") for row in rows), "a type that does not exist"
        return digest(rows)

    for what, content in broken_csv(path.read_bytes().decode(), random, structural=40, damaged=44):
        yield Case.of_file(what, path, content, read, reference)


def json_cases(folder: Path, random: Generator) -> Iterator[Case]:
    yield from agqa_cases(folder, random)
    yield from msrvttqa_cases(folder, random)
    yield from caption_cases(folder, random)
    yield from published_anetqa_cases(folder, random)
    yield from published_agqa_cases(folder, random)


def load_json(path: Path) -> Any:
    """As strictly as the format has it."""

    def no_constant(name: str):
        raise ValueError(name)

    return json.loads(path.read_text(encoding="utf-8-sig"), parse_constant=no_constant)


def agqa_record(number: int) -> dict[str, Any]:
    return {
        "question": f"what {number}?",
        "answer": ("yes", "no")[number % 2],
        "video_id": f"V{number % 3}",
        "global": ["exists", "obj-rel"][: number % 3],
        "semantic": "object",
        "structural": "verify",
        "ans_type": "binary",
        "novel_comp": 0,
        "nc_seq": number % 2,
    }


def agqa_cases(folder: Path, random: Generator) -> Iterator[Case]:
    path = folder / "agqa.json"
    whole = {f"q{number}": agqa_record(number) for number in range(4)}
    path.write_text(json.dumps(whole))

    def read() -> str:
        return as_rows(path, agqa.read_questions(path), "global")

    def reference() -> str:
        records = load_json(path)
        fields = ("question", "answer", "video_id", "global")
        return digest([[qid, *(record[name] for name in fields)] for qid, record in records.items()])

    for what, content in broken_json(whole, random, structural=40, damaged=11):
        yield Case.of_file(f"agqa: {what}", path, content, read, reference)


def msrvttqa_cases(folder: Path, random: Generator) -> Iterator[Case]:
    path = folder / "msrvttqa.json"
    whole = [
        {"id": n, "question": f"what {n}?", "answer": "dog", "video_id": n % 2, "category_id": 1} for n in range(3)
    ]
    path.write_text(json.dumps(whole))

    def read() -> str:
        return as_rows(path, msrvttqa.read_questions(path), "type")

    def reference() -> str:
        rows = []
        for record in load_json(path):
            question = record["question"]
            rows.append([f"{record['id']:d}", question, record["answer"], f"video{record['video_id']:d}"])
            rows[-1].append(question.split(" ")[0].lower())
        return digest(rows)

    for what, content in broken_json(whole, random, structural=20, damaged=11):
        yield Case.of_file(f"msrvttqa: {what}", path, content, read, reference)


def caption_cases(folder: Path, random: Generator) -> Iterator[Case]:
    for source, id_field, field in ((vatex, "videoID", "enCap"), (tgif, "vid", "cap")):
        path = folder / f"{source.SOURCE.name}.json"
        captions = ["a dog runs", "the cat é", "one two"]
        whole = [
            {id_field: f"v{n}", field: captions[: n + 1] if field == "enCap" else captions[n], "more": n}
            for n in range(3)
        ]
        path.write_text(json.dumps(whole))

        def read(source=source, path=path) -> str:
            table = source.read_captions(path)
            return digest({table.video_id(video): table.captions(video) for video in range(len(table))})

        def reference(path=path, id_field=id_field, field=field) -> str:
            captions: dict[str, list[str]] = {}
            for record in load_json(path):
                own = record[field] if isinstance(record[field], list) else [record[field]]
                assert own
                captions.setdefault(record[id_field], []).extend(text.strip() for text in own)
            return digest(captions)

        for what, content in broken_json(whole, random, structural=20, damaged=11):
            yield Case.of_file(f"{source.SOURCE.name}: {what}", path, content, read, reference)


def published_anetqa_cases(folder: Path, random: Generator) -> Iterator[Case]:
    """The files as published, through the preprocessing; the test split's are broken."""
    raw, out = folder / "anetqa_published", folder / "anetqa_out"
    raw.mkdir()
    for split in ("train", "val", "test"):
        questions = [{"video_name": f"{split}{n}", "question": f"what {n}", "question_id": f"{n}"} for n in range(3)]
        answers = [{"answer": "yes", "type": n, "question_id": f"{n}"} for n in range(3)]
        for letter, records in (("q", questions), ("a", answers)):
            (raw / f"{split}_{letter}.json").write_text(json.dumps(records))

    def read() -> str:
        shutil.rmtree(out, ignore_errors=True)
        preproc_anetqa.preprocess(raw, out)
        return as_rows(out / "test.csv", anetqa.read_questions(out / "test.csv"), "type")

    def reference() -> str:
        answers = {record["question_id"]: record for record in load_json(raw / "test_a.json")}
        rows = []
        for record in load_json(raw / "test_q.json"):
            answer = answers.pop(record["question_id"])
            rows.append([record["question_id"], record["question"], answer["answer"], record["video_name"]])
            rows[-1].append(f"{answer['type']:d}")
        assert not answers
        return digest(rows)

    for name in ("test_q.json", "test_a.json"):
        whole = json.loads((raw / name).read_text())
        for what, content in broken_json(whole, random, structural=12, damaged=11):
            yield Case.of_file(f"published {name}: {what}", raw / name, content, read, reference)


def published_agqa_cases(folder: Path, random: Generator) -> Iterator[Case]:
    raw, out = folder / "agqa_published", folder / "agqa_out"
    raw.mkdir()
    whole = {f"q{number}": agqa_record(number) for number in range(4)}
    for name in ("train", "test"):
        (raw / f"{name}_balanced.txt").write_text(json.dumps(whole))
    path = raw / "test_balanced.txt"

    def read() -> str:
        shutil.rmtree(out, ignore_errors=True)
        preproc_agqa.preprocess(raw, out)
        return as_rows(out / "test.json", agqa.read_questions(out / "test.json"), "global")

    def reference() -> str:
        fields = ("question", "answer", "video_id", "global")
        return digest([[qid, *(record[name] for name in fields)] for qid, record in load_json(path).items()])

    for what, content in broken_json(whole, random, structural=12, damaged=11):
        yield Case.of_file(f"published agqa: {what}", path, content, read, reference)


def vocabulary_cases(folder: Path, random: Generator) -> Iterator[Case]:
    path = folder / "data/vocab.json"
    whole = json.loads(path.read_text())

    def read() -> str:
        train_once(folder)
        return digest(qa_data(folder).vocabulary)

    def reference() -> str:
        vocabulary = load_json(path)
        answers = sorted(vocabulary, key=vocabulary.get)
        assert [vocabulary[answer] for answer in answers] == list(range(len(answers))), "not the numbers from 0 on"
        assert all(type(index) is int for index in vocabulary.values())
        return digest(answers)

    for what, content in broken_json(whole, random, structural=30, damaged=22):
        yield Case.of_file(what, path, content, read, reference)


def prediction_cases(folder: Path, random: Generator) -> Iterator[Case]:
    truth, path, scores = folder / "data/test.csv", folder / "predictions.json", folder / "scores.json"
    with truth.open(newline="") as file:
        answers = {row["qid"]: row["answer"] for row in csv.DictReader(file)}
    vocabulary = ["red", "green", "blue", "yes", "no"]
    whole = [{"qid": qid, "answer": "red", "answer10": vocabulary[: 1 + n % 5]} for n, qid in enumerate(answers)]
    path.write_text(json.dumps(whole))

    def read() -> str:
        scores.unlink(missing_ok=True)
        command(eval.main, ["anet", str(path), str(truth), "--json", str(scores)])
        overall = json.loads(scores.read_text())["predictions"][0]["scores"]["overall"]["all"]
        return digest([overall["accuracy"], overall.get("accuracy@10")])

    def reference() -> str:
        records = load_json(path)
        assert sorted(record["qid"] for record in records) == sorted(answers)
        right = [record["answer"] == answers[record["qid"]] for record in records]
        among = None
        if any("answer10" in record for record in records):
            assert all(isinstance(record["answer10"], list) for record in records)
            among = 100 * sum(answers[record["qid"]] in record["answer10"] for record in records) / len(records)
        return digest([100 * sum(right) / len(right), among])

    for what, content in broken_json(whole, random, structural=40, damaged=22):
        yield Case.of_file(what, path, content, read, reference)


def tsv_cases(folder: Path, random: Generator) -> Iterator[Case]:
    """TGIF as published: a TSV of urls and captions, and the lists of the splits' urls."""
    raw, out = folder / "tgif_published", folder / "tgif_out"
    raw.mkdir()
    urls = [f"https://38.media.tumblr.com/{n % 3}/tumblr_{n}.gif" for n in range(6)]
    tsv, listed = raw / "tgif-v1.0.tsv", {split: raw / f"{split}.txt" for split in ("train", "val")}
    tsv.write_text("".join(f"{url}\ta cat sits {n}\n{url}\tün chat {n}\n" for n, url in enumerate(urls)))
    listed["train"].write_text("".join(f"{url}\n" for url in urls[:3]))
    listed["val"].write_text("".join(f"{url}\n" for url in urls[3:5]))

    def read() -> str:
        shutil.rmtree(out, ignore_errors=True)
        preproc_tgif.preprocess(raw, out)
        tables = [tgif.SOURCE.read_captions(out / f"{split}.json") for split in listed]
        return digest([{table.video_id(row): table.captions(row) for row in range(len(table))} for table in tables])

    def lines(path: Path) -> list[str]:
        return [line for line in path.read_bytes().decode("utf-8-sig").replace("\r", "").split("\n") if line.strip(" ")]

    def reference() -> str:
        captions: dict[str, list[str]] = {}
        for line in lines(tsv):
            url, caption = line.split("\t")
            captions.setdefault(url.strip(), []).append(caption.strip())
        found = []
        for path in listed.values():
            own = [line.strip(" ") for line in lines(path)]
            assert len(set(own)) == len(own)
            found.append({})
            for url in own:
                name = unquote(urlsplit(url).path).rsplit("/", 1)[-1]
                found[-1].setdefault(name.rsplit(".", 1)[0], []).extend(captions[url])
        assert not found[0].keys() & found[1].keys()
        return digest(found)

    for path, structural, damaged in ((tsv, 30, 22), (listed["train"], 10, 11)):
        for what, content in broken_tsv(path.read_text(), random, structural, damaged):
            yield Case.of_file(f"{path.name}: {what}", path, content, read, reference)


def copy_cases(folder: Path, random: Generator) -> Iterator[Case]:
    """The copy that is kept of annotations: if it is not whole, the annotations themselves are read."""
    path = folder / "data/train.csv"
    rows = as_rows(path, anetqa.read_questions(path), "type")
    copy = path.with_name(".train.csv.arrow")

    def read() -> str:
        return as_rows(path, anetqa.read_questions(path), "type")

    def reference() -> str:
        raise ValueError("something else than the annotations")

    whole = copy.read_bytes()
    for what, content in damage(whole, random, count=198):
        if len(content) != len(whole):  # it has no checksum: what is changed in place is for the disk to notice
            yield Case(what, read, reference, named="", path=copy, content=content, before=rows)
