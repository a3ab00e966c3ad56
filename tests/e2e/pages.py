"""What tests of pages share: finished runs over clips with hostile names, reading a page."""

import base64
import json
import re

import numpy as np

from tests.conftest import moving_square
from tests.e2e.helpers import PLUGINS, TINY, folder, vpbench

ENV = {"VPBENCH_PLUGINS": f"{TINY},{PLUGINS / 'tiny_intermediates.py'}"}
METHOD = "tiny[translator=tiny-masked]"
CLASSES = ("<img src=x onerror=alert(1)>", "a\"b'c & =1+1 運動")
SIZE, FRAMES, COUNT = 16, 8, 10


def make_runs(place, methods=(METHOD, "noise", "copy-last", "real")):
    """`clips`, `home` and `runs` of some methods."""
    number = 0
    for split, count in (("train", 8), ("val", 2), ("test", COUNT)):
        for k in range(count):
            target = place / "clips" / split / CLASSES[k % 2]
            target.mkdir(parents=True, exist_ok=True)
            frames = moving_square(number, k % 2, 12, SIZE)
            np.savez(target / f"{'<b>' if k == 0 else 'clip'}{k:02d}.npz", frames=frames)
            number += 1
    metrics = ("--metrics", "psnr,ssim", "--no-references", "--dataset", folder(place / "clips"))
    words = ("run", *methods, *metrics)
    done = vpbench(*words, cwd=place, env={**ENV, "VPBENCH_HOME": str(place / "home")})
    assert done.code == 0, done.err


def run(place, *words, **env):
    """A command over those runs; with the dataset's folder where it is `compare`."""
    return vpbench(*words, cwd=place, env={**ENV, "VPBENCH_HOME": str(place / "home"), **env})


def player_of(page, name="player0"):
    """What a page's player knows."""
    block = page.partition(f'id="{name}"')[2].partition('class="player-data">')[2]
    return json.loads(block.partition("</script>")[0])


def films_of(page, name="player0"):
    """Key -> film in a page."""
    found = re.findall(rf'<script type="application/json" id="{name}-(\w+)">(.*?)</script>', page)
    return {key: json.loads(text) for key, text in found}


def film_bytes(film):
    """The MP4 of a film."""
    return base64.b64decode(film["film"])


def stored(place, method):
    """Clip -> uint8 [T,H,W,3] of the only run of a method."""
    (run_folder,) = (place / "runs").glob(f"*/{method}/????????")
    clips = {}
    for path in sorted((run_folder / "predictions").glob("*.npz")):
        items = json.loads(path.with_suffix(".json").read_text())["items"]
        clips |= dict(zip(items, np.load(path)["frames"][:, 0], strict=True))
    return clips
