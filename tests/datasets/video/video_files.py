import contextlib
import os
import subprocess
from pathlib import Path

import numpy as np

from datasets.video.ffmpeg import find_ffmpeg


def ffmpeg(*arguments: object) -> None:
    subprocess.run([find_ffmpeg(), "-v", "error", "-y", *map(str, arguments)], check=True)


def make_video(
    path: Path, frames: int, size: str = "96x64", rate: int = 25, options: tuple = ("-pix_fmt", "yuv420p")
) -> Path:
    """A moving test picture of so many frames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ffmpeg("-f", "lavfi", "-i", f"testsrc2=s={size}:r={rate}", "-frames:v", frames, *options, path)
    return path


def make_cut_video(path: Path, frames: int, size: str = "96x64") -> Path:
    """A video whose download was cut off: the first half of its bytes, which hold its index."""
    make_video(path, frames, size, options=("-pix_fmt", "yuv420p", "-movflags", "+faststart"))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def make_broken_videos(folder: Path) -> dict[str, str]:
    """One of each kind of file that a large download holds.

    Returns:
        file name, as it is listed -> a part of the reason it is skipped for; "" if it is used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    good = make_video(folder / "good.mp4", 50)
    content = good.read_bytes()
    (folder / "empty.mp4").touch()
    (folder / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    (folder / "text.mp4").write_text("#EXTM3U\n#EXTINF:1\nhttp://127.0.0.1:9/x.ts\n")
    make_cut_video(folder / "cut.mp4", 50)
    ffmpeg("-f", "lavfi", "-i", "sine=d=1", folder / "audio.mp4")
    cover = ("-f", "lavfi", "-i", "color=red:s=64x64", "-map", "0", "-map", "1", "-frames:v", 1, "-c:v", "mjpeg")
    ffmpeg("-f", "lavfi", "-i", "sine=d=1", *cover, "-disposition:v", "attached_pic", folder / "audio with cover.mp4")
    make_video(folder / "one frame.mp4", 1)
    make_video(folder / "variable rate.mp4", 30, options=("-vf", "select='lt(n,20)+not(mod(n,7))'", "-fps_mode", "vfr"))
    ffmpeg("-display_rotation", 90, "-i", good, "-c", "copy", folder / "turned.mp4")
    make_video(folder / "odd size.mp4", 25, size="97x63", options=("-pix_fmt", "yuv444p"))
    make_video(folder / "4k.mp4", 3, size="3840x2160", rate=5)
    for name in ("ünï 視頻 %04d; touch x.mp4", "-dash.mp4", "twice.mkv", "twice.mp4", "pair.mp4"):
        (folder / name).write_bytes(content)
    (folder / "pair.avi").touch()
    not_utf8 = {}
    with contextlib.suppress(OSError):  # not every file system takes it
        (folder / os.fsdecode(b"\xff\xfe.mp4")).write_bytes(content)
        not_utf8 = {r"\xff\xfe.mp4": "cannot be a file name"}
    (folder / "no such target.mp4").symlink_to(folder / "nowhere")
    ffmpeg("-i", good, folder / "animation.gif")
    return {
        **dict.fromkeys(("empty.mp4", "pair.avi"), "the file is empty"),
        **dict.fromkeys(("noise.mp4", "text.mp4"), "moov atom not found"),
        **dict.fromkeys(("audio.mp4", "audio with cover.mp4"), "no video stream"),
        "no such target.mp4": "a link to nothing",
        "twice.mp4": "same video id as",
        **not_utf8,
        "cut.mp4": "used, but damaged",
        **dict.fromkeys(("good.mp4", "one frame.mp4", "variable rate.mp4", "turned.mp4", "odd size.mp4", "4k.mp4"), ""),
        **dict.fromkeys(("ünï 視頻 %04d; touch x.mp4", "-dash.mp4", "twice.mkv", "pair.mp4", "animation.gif"), ""),
    }
