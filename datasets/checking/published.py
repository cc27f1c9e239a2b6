"""Published annotation files by their hash, as they were when the figures of this repository were measured."""

from collections.abc import Iterable
from pathlib import Path

from datasets.files import sha256_of

# sha256 -> the file, as published or as preprocessed from it
FILES = {
    "a9db856c54af5870e9d24cb61bc14470f75eb31e9634e97ec0fb5a9d2b8acfc9": "ActivityNet-QA's train_q.json",
    "f7df4103d38939ac8fd7fbcf316cf3c13f5fab9de0c76eb10c9b772ec7aa6566": "ActivityNet-QA's train_a.json",
    "810299378d673bc93e88c507729c8268a1d84c985272f2ef0b7d9fb2bc89beb7": "ActivityNet-QA's val_q.json",
    "b388623af61ba18692e597a1441710f95c87aefb93a491c43e96a4ab9a61e2a9": "ActivityNet-QA's val_a.json",
    "54d729564c3dfa0e795217f4df6023f7e43197fbb2b1fa4fd943ca65bee7eab8": "ActivityNet-QA's test_q.json",
    "f8fffa0fd6d8dbdb788310c16fe7e6da0aa23758d811cc77b65060436acf97e5": "ActivityNet-QA's test_a.json",
    "2330d06106dad15d446285aca114c7892223619f8b7a8b836336d7989be42811": "train.csv of the published ActivityNet-QA",
    "5d6b344e7c45e93101899332e3229ac6b44e1605a313594f20c45f060d48e31f": "val.csv of the published ActivityNet-QA",
    "b9a77e443cee61ea775e369069b40b8d0fd42007213ecef20de6aeb590649c52": "test.csv of the published ActivityNet-QA",
    "422eb7620b925789bc761e72c1618da15039932cf7ba5fbe6c14a249a100d1f6": "vocab.json of the published ActivityNet-QA",
    "43198bdef8436b8d64a9b75d846b0987c10cbf94ebf4be325c4a4e54634d66b8": "NExT-QA's val.csv",
    "1955d89e7a175346faf8d4a582297ff349619231394f59fd7872f459ac8a8685": "NExT-QA's map_vid_vidorID.json",
}


def which_published(paths: Iterable[Path]) -> list[str]:
    """Tells of each file that exists which published file it is: one line each."""
    lines = []
    for path in paths:
        if path.is_file():
            known = FILES.get(sha256_of(path))
            lines.append(f"{path}: {known}" if known else f"{path}: not one of the published files known here")
    return lines
