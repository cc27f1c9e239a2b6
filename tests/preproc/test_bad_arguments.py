"""Values that a script of this folder cannot use: one line that names them, before anything is written."""

import pytest

from preproc import check_data, extract_features, extract_frames, make_toy, make_vocabulary, preproc_agqa
from tests.datasets.video.video_files import make_video

FRAMES = (extract_frames.main, "VIDEOS", "OUT", "--dataset", "agqa")
FEATURES = (extract_features.main, "VIDEOS", "OUT", "--dataset", "agqa")
RANDOM = (*FEATURES, "--random-start", 0)
CHECK = (check_data.main, "VIDEOS", "--task")
VOCABULARY = (make_vocabulary.main, "msrvttqa", "VIDEOS")


@pytest.mark.parametrize(
    ("command", "words", "said"),
    [
        (FRAMES, "--fps 0", "--fps 0.0 must be above 0; frames per second, 3 by default"),
        (FRAMES, "--quality 101", "--quality 101 must be between 1 and 100"),
        *((FRAMES, f"{option} 0", f"{option} 0 must be at least 1") for option in ("--short-side", "--jobs")),
        ((extract_frames.main, "VIDEOS", "VIDEOS/a.mp4"), "--dataset agqa", "cannot make the folder VIDEOS/a.mp4"),
        (RANDOM, "--shard 3/3", "--shard '3/3' must be i/n with i from 0 to n - 1, e.g. 0/8 … 7/8"),
        *((RANDOM, f"{name} 0", f"{name} 0 must be at least 1") for name in ("--batch-size", "--decoders", "--size")),
        (RANDOM, "--arch bass", "did you mean 'base'?"),
        (RANDOM, "--compile --device cpu", "--compile needs a C++ compiler, and CXX=no-such-compiler is no program"),
        (FEATURES, "--checkpoint swin.pth", "swin.pth does not exist"),
        (CHECK, "anet", "--task 'anet' (did you mean 'anetqa'?): known are anetqa, agqa, msrvttqa, nextqa, star, trm"),
        *(
            ((make_toy.main,), f"-o OUT --size {size}", f"--size {size}: H.264 needs an even number")
            for size in (0, 95)
        ),
        (VOCABULARY, "--max-size 0", "--max-size 0 must be at least 1"),
        *(((preproc_agqa.main,), f"-i VIDEOS -o OUT --val-fraction={x}", "above 0 and below 1") for x in (0, 1, "nan")),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, monkeypatch, refused, command, words, said):
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "VIDEOS" / "a.mp4", 3)
    main, *arguments = command
    assert said in refused(main, *arguments, *words.split())
    assert not (tmp_path / "OUT").exists()
