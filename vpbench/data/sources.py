"""Where datasets come from that vpbench may not or cannot fetch: link, licence, exact folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DataSource:
    """How to get a dataset.

    Attributes:
        folder: what the root must contain.
        how: steps, one sentence each.
    """

    title: str
    link: str
    licence: str
    citation: str
    folder: str
    how: tuple[str, ...]
    name: str

    def text(self, root: Path | None) -> str:
        """The instructions, one item per line."""
        place = root if root is not None else f"DIR/{self.name}"
        where = "" if root else " (set VPBENCH_DATA=DIR, or give --root)"
        lines = [
            self.title,
            f"  from     {self.link}",
            f"  licence  {self.licence}",
            f"  cite     {self.citation}",
            f"  folder   {place}/{self.folder}{where}",
            *(f"  {number}. {step}" for number, step in enumerate(self.how, 1)),
        ]
        return "\n".join(lines)


_CHECK = "Check it: vpbench data verify "

PENN_SOURCE = DataSource(
    "Penn Action: 2326 videos of 15 actions as JPEG frames, with 13 joints",
    "https://www.cis.upenn.edu/~kostas/Penn_Action.tar.gz (or https://upenn.box.com/PennAction)",
    "for research; the authors ask to be cited; no licence text is published",
    "Zhang, Zhu, Derpanis: From Actemes to Action, ICCV 2013",
    "frames/NNNN/NNNNNN.jpg and labels/NNNN.mat",
    (
        "vpbench data prepare penn --download --root DIR does it for you; or by hand:",
        "tar -xzf Penn_Action.tar.gz -C DIR --strip-components 1",
        f"{_CHECK}penn --root DIR",
    ),
    "penn",
)

NEMO_SOURCE = DataSource(
    "UvA-NEMO smiles, as aligned by Siarohin et al.: 1110 + 124 strips of 32 faces of 64x64 px",
    "https://yadi.sk/d/lHdX-fdMKVx2Dw (the faces); access to the films: https://www.uva-nemo.org",
    "research only, on request to the owners; it may not be passed on",
    "Dibeklioglu, Salah, Gevers: Are You Really Smiling at Me?, ECCV 2012; Siarohin et al.: "
    "Animating Arbitrary Objects via Deep Motion Transfer, CVPR 2019",
    "train/NNN_deliberate_smile_K.png and test/NNN_spontaneous_smile_K.png",
    (
        "Ask the owners for access and fetch the strips.",
        "Unpack them so that train and test lie right below the folder.",
        f"{_CHECK}nemo --root DIR",
    ),
    "nemo",
)

MGIF_SOURCE = DataSource(
    "MGIF, by Siarohin et al.: 900 + 100 gifs of cartoon animals that walk or run",
    "https://yadi.sk/d/5VdqLARizmnj3Q",
    "none is stated; the images were collected from the web",
    "Siarohin et al.: Animating Arbitrary Objects via Deep Motion Transfer, CVPR 2019",
    "train/NNNNN.gif and test/NNNNN.gif",
    (
        "Fetch and unpack it; take the folder moving-gif-128, or moving-gif.",
        "Put train and test right below the folder.",
        f"{_CHECK}mgif --root DIR",
    ),
    "mgif",
)
