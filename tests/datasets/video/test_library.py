import unicodedata

from datasets.sources import get_source
from datasets.video.library import Video, list_videos

from .video_files import make_video


def test_names_of_the_data_sets(tmp_path):
    for dataset, file, video_id, key in (
        ("anetqa", "v_-abc.mp4", "-abc", "-abc"),
        ("agqa", "001YG.mp4", "001YG", "videos/001YG"),
        # As macOS names files: the accent is a character of its own. Annotations have one character for both.
        ("anetqa", unicodedata.normalize("NFD", "v_caf\u00e9.mp4"), "caf\u00e9", "caf\u00e9"),
    ):
        naming, path = get_source(dataset), tmp_path / file
        path.touch()
        assert list_videos(tmp_path, naming) == ([Video(path, video_id)], [])
        assert naming.frame_directory.format(video_id=video_id) == unicodedata.normalize("NFC", path.stem)
        assert naming.feature_key.format(video_id=video_id) == key
        path.unlink()


def test_order_subfolders_and_names_that_cannot_be_used(tmp_path):
    names = ("b/v_2.mp4", "v_10.MKV", "a/v_2.webm", "v_.mp4", "v_a:b.mp4", "notes.txt", "d.mp4/v_3.avi", "v_tab\t.mp4")
    of_systems = ("._v_a.mp4", "#recycle/v_b.mp4")
    odd = ("v_\u202f\u5168 \u0645\u200c.mp4", "v_\U0001f468\u200d\U0001f469 \ue000.mp4")
    for name in (*names, *of_systems, *odd):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found, problems = list_videos(tmp_path, get_source("anetqa"))
    paths = {str(video.path.relative_to(tmp_path)): video.video_id for video in found}
    assert [path for path in paths if path not in odd] == ["v_10.MKV", "a/v_2.webm", "d.mp4/v_3.avi"]
    assert {path: paths[path] for path in odd} == {path: path[2:-4] for path in odd}
    reasons = {problem.path.name: problem.reason for problem in problems}
    assert reasons.keys() == {"v_2.mp4", "v_.mp4", "v_tab\t.mp4", "v_a:b.mp4"}
    assert reasons["v_2.mp4"] == "the file is empty" and "control character" in reasons["v_tab\t.mp4"]


def test_of_several_files_with_one_id_the_first_that_can_be_decoded_is_used(tmp_path):
    for name in ("a.avi", "b.avi", "b.mkv"):
        (tmp_path / name).touch()
    make_video(tmp_path / "a.mp4", 5)
    make_video(tmp_path / "a.ts", 5)
    found, problems = list_videos(tmp_path, get_source("agqa"))
    assert [one.path.name for one in found] == ["a.mp4", "b.avi"]
    same = f"has the same video id as {tmp_path / 'a.mp4'}, which is used"
    reasons = {problem.path.name: problem.reason for problem in problems}
    assert reasons == {"a.ts": same} | dict.fromkeys(("a.avi", "b.mkv"), "the file is empty")
