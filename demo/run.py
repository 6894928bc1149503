"""The demo: make a case, analyse it, move a threshold, draw the result. `make demo` runs this."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from demo import phantom, picture

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = Path("demo/gbm.imgql")  # relative to ROOT, where everything runs, as is the output
OUTPUT = Path("demo-output")
NAME = "phantom"

MOVED = "vi=0.91"  # 0.86 in the program

STEPS = {  # what the program prints, in words
    "dice_surely": "the brightest 5 %, specks removed",
    "dice_possibly": "the brightest 14 %, specks removed",
    "dice_growTum": "the second, where it touches the first",
    "dice_gtv": "with its like in texture added",
}


class DemoError(Exception):
    """The demo cannot go on; the message is for the person at the terminal."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


def command(case: Path, masks: Path, *settings: str) -> list[str]:
    """The line a person would type, without the `voxlogica` in front."""
    return ["run", PROGRAM.as_posix(), *_sets(case, *settings), "--output-dir", masks.as_posix()]


def sweep(case: Path) -> list[str]:
    """The same for choosing the thresholds."""
    return ["sweep", PROGRAM.as_posix(), *_sets(case), "-p", "hi=0.91:0.95:0.02", "-p", "vi=0.86:0.92:0.02"]


def _sets(case: Path, *settings: str) -> list[str]:
    return [
        word for setting in (f"INPUTDIR={case.as_posix()}", f"NAME={NAME}", *settings) for word in ("--set", setting)
    ]


def installed() -> Path:
    """The `voxlogica` command that belongs to the Python running this."""
    path = Path(sys.executable).with_name("voxlogica")
    if not path.exists():
        raise DemoError(f"there is no {path}: run this with `make demo`, which installs it")
    return path


def values(text: str) -> dict[str, float]:
    """`label=value` lines as a dictionary."""
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {label: float(value) for label, _, value in pairs}


def analyse(case: Path, masks: Path, *settings: str) -> tuple[dict[str, float], float]:
    """Run the analysis; returns what it printed and the seconds it took."""
    words = [*command(case, masks, *settings), "--no-store"]  # so that the time is that of the computation
    start = time.perf_counter()
    done = subprocess.run([installed(), *words], cwd=ROOT, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip() or "(it printed nothing)"
        raise DemoError(f"voxlogica {' '.join(words)}\nended with status {done.returncode}:\n\n{said}", done.returncode)
    printed = values(done.stdout)
    missing = [label for label in (*STEPS, "voxels_gtv", "voxels_truth") if label not in printed]
    if missing:
        raise DemoError(f"the analysis did not print {', '.join(missing)}; it printed:\n\n{done.stdout}")
    return printed, seconds


def millilitres(voxels: float) -> str:
    return f"{voxels * phantom.SPACING**3 / 1000:.1f} ml"


def demo(output: Path = OUTPUT, say: Callable[[str], None] = print) -> None:
    """The whole demo. Everything it writes is under `output`."""
    case, masks = output / "case", output / "masks"
    size = " x ".join(str(n) for n in phantom.SHAPE)
    flair, seg = phantom.write(ROOT / case, NAME)
    say(f"A synthetic FLAIR scan with a tumour ({size} voxels of {phantom.SPACING} mm) is in {case}.")

    before, seconds = analyse(case, masks)
    say(f"\n$ voxlogica run {PROGRAM}   ({seconds:.1f} s)\n")
    for label, meaning in STEPS.items():
        say(f"  {label:<14} {before[label]:.3f}   {meaning}")
    found, true = millilitres(before["voxels_gtv"]), millilitres(before["voxels_truth"])
    say(f"\n  It finds {found} of tumour; the truth is {true}. (Dice: 0 no overlap, 1 the same.)")

    after, _ = analyse(case, output / "masks-moved", MOVED)
    change = after["dice_gtv"] - before["dice_gtv"]
    say(f"\n$ voxlogica run {PROGRAM} --set {MOVED}   (one threshold moved by 0.05)\n")
    say(f"  {'dice_gtv':<14} {after['dice_gtv']:.3f}   {change:+.3f}")

    scan, mask, truth = (picture.load(path) for path in (flair, ROOT / masks / "gtv.nii.gz", seg))
    title = f"{PROGRAM.name} on a synthetic FLAIR scan: Dice {before['dice_gtv']:.3f}"
    picture.save(picture.compose(scan, mask, truth, title=title), ROOT / output / "picture.png")
    say(f"\nLook at   {output / 'picture.png'}")
    say(f"Masks     {masks / 'growTum.nii.gz'} and gtv.nii.gz, for any NIfTI viewer")
    say(f"Next      change a line of {PROGRAM} and `make demo` again, or set both thresholds yourself:\n")
    say(f"  .venv/bin/voxlogica {' '.join(command(case, output / 'mine', 'hi=0.90', 'vi=0.90'))}")
    say("\nWhich thresholds are best? Try twelve pairs of them:\n")
    say(f"  .venv/bin/voxlogica {' '.join(sweep(case))}")
    say("\nMany patients at once, a table, a page to look at: docs/study.md goes from one image to a study.")


def main() -> int:
    try:
        demo()
    except (DemoError, picture.PictureError) as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return error.status if isinstance(error, DemoError) else 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
