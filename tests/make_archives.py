"""Small synthetic archives in the exact layouts of Penn Action, UvA-NEMO and MGIF.

    python -m tests.make_archives DIR

makes DIR/penn, DIR/penn-labels, DIR/nemo and DIR/mgif, a folder for VPBENCH_DATA. Everything is
drawn here; nothing of the real archives is in it.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import GifImagePlugin, Image
from scipy.io import savemat

VIDEOS = {
    # video: (role, class number of the split, frames, (height, width), official half)
    "2141": ("train", 0, 36, (270, 480), 1),
    "2142": ("train", 0, 20, (360, 480), 1),
    "2150": ("train", 0, 40, (270, 480), -1),
    "2160": ("test", 0, 35, (270, 480), -1),
    "1149": ("train", 1, 40, (270, 480), 1),
    "1151": ("train", 1, 34, (480, 270), -1),
    "1160": ("train", 1, 70, (270, 480), 1),
    "1150": ("test", 1, 19, (360, 480), -1),
    "1661": ("train", 7, 33, (270, 481), 1),
    "1670": ("train", 7, 41, (270, 480), 1),
    "1672": ("train", 7, 27, (360, 480), -1),
    "1680": ("test", 7, 36, (270, 480), -1),
}
ACTIONS = {0: "tennis_serve", 1: "pullup", 7: "squat"}
VIEWS = ("front", "back", "left", "right")

_REST = np.array(
    [
        (0, -0.42),
        (-0.11, -0.3),
        (0.11, -0.3),
        (-0.14, -0.14),
        (0.14, -0.14),
        (-0.15, 0.01),
        (0.15, 0.01),
        (-0.06, 0),
        (0.06, 0),
        (-0.06, 0.22),
        (0.06, 0.22),
        (-0.06, 0.45),
        (0.06, 0.45),
    ]
)
"""A standing figure of height 1 around its hips, in Penn Action's order of joints."""
_BONES = (
    *((1, 2), (1, 3), (3, 5), (2, 4), (4, 6), (1, 7)),
    *((2, 8), (7, 8), (7, 9), (9, 11), (8, 10), (10, 12)),
)


def movement(label, frames, height, width, seed):
    """Joints [frames,13,2] in pixels: serves raise an arm, pull-ups rise, squats sink."""
    rng = np.random.default_rng(seed)
    phase = np.sin(np.linspace(0, 2 * np.pi, frames) + rng.uniform(0, 0.5))[:, None]
    joints = np.repeat(_REST[None], frames, 0).copy()
    if label == 0:
        joints[:, (4, 6), 1] -= 0.2 + 0.2 * phase
    elif label == 1:
        joints[:, 3:7, 1] -= 0.4
        joints[..., 1] -= 0.1 * phase
    else:
        joints[:, :9, 1] += 0.1 + 0.1 * phase
    tall = 0.8 * min(height, width)
    middle = np.array([width * rng.uniform(0.45, 0.55), height * 0.52])
    return joints * tall + middle + rng.normal(0, 0.3, joints.shape)


def draw(joints, height, width, seed):
    """Frames uint8 [T,height,width,3] of a stick figure over a texture of its own."""
    import cv2

    rng = np.random.default_rng(seed)
    coarse = rng.integers(40, 216, (6, 8, 3), np.uint8)
    ground = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    colours = [tuple(int(v) for v in rng.integers(0, 256, 3)) for _ in _BONES]
    clip = []
    for pose in joints:
        frame = ground.copy()
        for (a, b), colour in zip(_BONES, colours, strict=True):
            ends = [tuple(int(v) for v in pose[k].round()) for k in (a, b)]
            cv2.line(frame, *ends, colour, max(3, min(height, width) // 20))
        cv2.circle(
            frame, tuple(int(v) for v in pose[0].round()), min(height, width) // 14, colours[0], -1
        )
        clip.append(frame)
    return np.stack(clip)


def annotation(video, label, frames, size, official, short_box=False):
    """The contents of one annotation file, with the types and traps of the real ones."""
    height, width = size
    xy = movement(label, frames, height, width, int(video)) + 1  # MATLAB counts from 1
    visible = np.ones((frames, 13), np.uint8)
    visible[: frames // 4, 6] = 0  # occluded: the position is still there
    visible[frames // 3, 5] = 0
    xy[frames // 3, 5] = 1  # not annotated
    if int(video) % 3 == 0:
        xy = xy.round().astype(np.uint16)
    boxes = np.concatenate([xy.min(1), xy.max(1)], -1).astype(float)
    return {
        "action": ACTIONS[label],
        "pose": VIEWS[int(video) % 4],
        "x": xy[..., 0],
        "y": xy[..., 1],
        "visibility": visible,
        "train": np.array([[official]], np.int32),
        "bbox": boxes[:-1] if short_box else boxes,
        "dimensions": np.array([[height, width, frames]], np.uint16),
        "nframes": np.array([[frames]], np.uint8),
    }


def make_labels(root, videos=None):
    """`labels/NNNN.mat` and the split files below `root`."""
    videos = VIDEOS if videos is None else videos
    (root / "labels").mkdir(parents=True, exist_ok=True)
    for number, (video, (_, label, frames, size, official)) in enumerate(videos.items()):
        stored = annotation(video, label, frames, size, official, short_box=number == 1)
        savemat(root / "labels" / f"{video}.mat", stored)
    for role in ("train", "test"):
        lines = [f"frames/{v} {label}" for v, (own, label, *_) in videos.items() if own == role]
        (root / f"{role}_set.txt").write_text("\n".join(lines))  # no newline at the end
    return root


def make_penn(root, videos=None):
    """A whole Penn Action of few videos, with train_set.txt and test_set.txt beside it."""
    videos = VIDEOS if videos is None else videos
    make_labels(root, videos)
    for video, (_, label, frames, (height, width), _) in videos.items():
        folder = root / "frames" / video
        folder.mkdir(parents=True)
        joints = movement(label, frames, height, width, int(video))
        for k, frame in enumerate(draw(joints, height, width, int(video)), 1):
            Image.fromarray(frame).save(folder / f"{k:06d}.jpg", quality=85)
    return root


def make_nemo(root, train=8, test=3, frames=32):
    """Named strips of 64x64 px; the people of the test are among the archive's own."""
    people = {"train": range(601, 601 + train), "test": (4, 71, 93, 105, 112, 116)[:test]}
    for part, numbers in people.items():
        (root / part).mkdir(parents=True, exist_ok=True)
        for person in numbers:
            rng = np.random.default_rng(person)
            for kind in ("deliberate", "spontaneous"):
                clip = face(rng, frames)
                strip = clip.transpose(1, 0, 2, 3).reshape(64, 64 * frames, 3)
                alpha = np.full((*strip.shape[:2], 1), 255, np.uint8)
                Image.fromarray(np.concatenate([strip, alpha], -1)).save(
                    root / part / f"{person:03d}_{kind}_smile_1.png"
                )
    return root


def face(rng, frames):
    """Frames uint8 [T,64,64,3] of a face that begins to smile."""
    y, x = np.mgrid[:64, :64]
    skin, back = rng.integers(120, 240, 3), rng.integers(0, 120, 3)
    wide, tall = rng.uniform(18, 24), rng.uniform(24, 30)
    clip = np.zeros((frames, 64, 64, 3), np.uint8)
    clip[:] = back
    clip[:, ((x - 32) / wide) ** 2 + ((y - 32) / tall) ** 2 < 1] = skin
    for eye in (24, 40):
        clip[:, (x - eye) ** 2 + (y - 26) ** 2 < 6] = 20
    for t in range(frames):
        smile = 5 * min(1.0, 2 * t / frames)
        mouth = np.abs(y - (46 - smile * ((x - 32) / 10) ** 2)) < 1.5
        clip[t, mouth & (np.abs(x - 32) < 7 + smile)] = (150, 30, 40)
    return clip


def make_mgif(root, lengths=(40, 8, 33, 20, 5, 66, 36, 25), test=3, size=128):
    """Gifs of a square that goes round on white; the last `test` are test clips.

    In even ones a frame is stored as the part that changes; in odd ones every frame but the first
    is undone again (disposal 3), so that the next one is drawn over the first.
    """
    side = size // 8
    for number, frames in enumerate(lengths):
        part = "test" if number >= len(lengths) - test else "train"
        (root / part).mkdir(parents=True, exist_ok=True)
        colour = [int(v) for v in np.random.default_rng(number).integers(0, 200, 3)]
        indices = np.zeros((frames, size, size), np.uint8)  # 0 white, 1 the colour, 2 transparent
        for t in range(frames):
            turn = 2 * np.pi * t / frames
            x, y = (int(size / 2 + size / 4 * way) for way in (np.cos(turn), np.sin(turn)))
            indices[t, y - side : y + side, x - side : x + side] = 1
        write_indices(root / part / f"{number:05d}.gif", indices, colour, undone=number % 2 == 1)
    return root


def write_indices(path, indices, colour, undone):
    """A gif of two colours and a transparent one, with or without disposal 3."""
    ground = indices[0]
    pictures = []
    for t, frame in enumerate(indices):
        before = ground if undone else indices[t - 1]
        layer = np.where(frame == before, 2, frame) if t else frame
        picture = Image.fromarray(layer.astype(np.uint8)).convert("P")
        picture.putpalette([255, 255, 255, *colour, 0, 255, 0])
        pictures.append(picture)
    with path.open("wb") as file:
        header, _ = GifImagePlugin.getheader(pictures[0].copy(), info={"optimize": False})
        file.writelines(header)
        for t, picture in enumerate(pictures):
            disposal = 3 if undone and t else 1
            file.writelines(
                GifImagePlugin.getdata(picture, duration=50, disposal=disposal, transparency=2)
            )
        file.write(b";")


def make_all(folder):
    """All archives below a folder for VPBENCH_DATA."""
    make_penn(folder / "penn")
    make_labels(folder / "penn-labels")
    make_nemo(folder / "nemo")
    make_mgif(folder / "mgif")
    return folder


if __name__ == "__main__":
    sys.stdout.write(f"{make_all(Path(sys.argv[1]))}\n")
