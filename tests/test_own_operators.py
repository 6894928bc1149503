"""Operators of one's own: what may be declared, how programs use it, what identifies it, what is said of mistakes."""

from __future__ import annotations

import asyncio
import linecache
import os
import re
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from tests.command import Command, commands

import voxlogica as vx
from voxlogica import operators
from voxlogica.errors import VoxLogicAError

VOXELS = np.arange(120, dtype=np.int16).reshape(6, 5, 4)
LOAD = 'load scan = "a.nii.gz"\nlet i = intensity(scan)\n'
FILE = """import os

import voxlogica as vx


@vx.operator(version=1)
def above(image: vx.Image, level: vx.Number) -> vx.Mask:
    '''Where the image is more than a level.

    The rest of the entry.
    '''
    return image.numpy() > level


@vx.operator(version=1, isolate=True)
def elsewhere(image: vx.Image) -> vx.Number:
    return os.getpid() + 0 * image.numpy().max()


@vx.operator(version=1, isolate=True)
def dies(image: vx.Image) -> vx.Image:
    os._exit(3)
"""


@pytest.fixture(autouse=True)
def nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Declarations and modules are those of one test; a scan of 6 x 5 x 4 voxels is where it runs."""
    modules = set(sys.modules)
    monkeypatch.setattr(operators, "_own", {})
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    nibabel.save(nibabel.Nifti1Image(VOXELS, np.diag([-1.0, -2.0, 3.0, 1.0])), "a.nii.gz")
    with vx.Session(store=False):
        yield
    for name in set(sys.modules) - modules:
        if not getattr(sys.modules[name], "__file__", None) or Path(str(sys.modules[name].__file__)).parent == tmp_path:
            del sys.modules[name]


def run(text: str) -> vx.Run:
    return vx.program(LOAD + text).run(save=False)


# Use


@dataclass(frozen=True)
class Shape:
    size: vx.Number
    empty: vx.Bool
    core: vx.Mask


def test_a_dataclass_is_a_record(monkeypatch: pytest.MonkeyPatch) -> None:
    @vx.operator(version=1)
    def shape(image: vx.Image) -> Shape:
        core = image.numpy() > 100
        return Shape(core.sum(), not core.any(), core)  # type: ignore[arg-type]

    text = (
        'let s = shape(i)\nprint "size" s.size\nprint "core" volume(near(s.core) & (i > 100))\nprint "none" s.empty\n'
    )
    found = run(text + 'print "each" for k in [1, 2] do shape(i * k).size')
    assert found.printed == {"size": 19.0, "core": 19.0, "none": False, "each": (19.0, 69.0)}
    assert found["s"].core.numpy().sum() == 19
    assert shape(found["i"]).size == 19
    with pytest.raises(VoxLogicAError, match="this record has no field `sized`"):
        run('print "v" shape(i).sized')


def test_the_fields_of_a_record_have_part_in_the_identity() -> None:
    names = []
    for kind in (vx.Number, vx.Bool):
        declared = make_dataclass("Declared", [("a", kind)], frozen=True)

        def made(image: vx.Image) -> None:
            raise NotImplementedError

        made.__annotations__["return"] = declared
        names.append(vx.operator(version=1)(made).declaration.name)
    assert names[0] != names[1]


def test_a_record_of_something_else_is_refused() -> None:
    def part(image: vx.Image) -> Shape:
        return Shape(1.0, "no", image.numpy() > 1)  # type: ignore[arg-type]

    vx.operator(version=1)(part)
    with pytest.raises(VoxLogicAError, match=r"`part\.empty` is to return a bool, and returned a value of type str"):
        run('print "v" part(i).size')

    def whole(image: vx.Image) -> Shape:
        return {"size": 1.0}  # type: ignore[return-value]

    vx.operator(version=1)(whole)
    with pytest.raises(
        VoxLogicAError, match="`whole` is to return a record of size, empty, core, and returned a value"
    ):
        run('print "v" whole(i).size')

    def integers(image: vx.Image) -> make_dataclass("Integers", [("n", int)]):  # type: ignore[valid-type]
        raise NotImplementedError

    with pytest.raises(VoxLogicAError, match="`n` of the result of `integers` is of type int, which no program has"):
        vx.operator(version=1)(integers)


def test_a_program_calls_it_as_any_other() -> None:
    @vx.operator(version=1)
    def scaled(image: vx.Image, mask: vx.Mask, by: vx.Number, up: vx.Bool, how: vx.Text) -> vx.Image:
        assert (type(image), type(mask), by, up, how) == (vx.Image, vx.Mask, 2.0, True, "x")
        return image.numpy() * by * mask.numpy()  # type: ignore[return-value]

    found = run('let s = scaled(i, i >. 3, 2, true, "x")\nprint "max" max(s)')
    assert found["max"] == 238
    assert np.array_equal(found["s"].numpy(), VOXELS * 2 * (VOXELS > 3))
    signature = "scaled(image: number image, mask: mask, by: number, up: bool, how: string) -> number image"
    assert repr(scaled) == f"<operator {signature}, version 1>"


def test_a_model_and_labels_and_the_grid() -> None:
    @vx.operator(version=1)
    def lowest(model: vx.Model) -> vx.Number:
        return model.numpy().min() + 5  # type: ignore[no-any-return]

    @vx.operator(version=1)
    def slices(space: vx.Space) -> vx.Labels:
        return np.broadcast_to(np.arange(space.size[2]), space.size)  # type: ignore[return-value]

    @vx.operator(version=1)
    def same(labels: vx.Labels) -> vx.Labels:
        return labels

    @vx.operator(version=1)
    def flat(space: vx.Space, at: vx.Number) -> vx.Mask:
        mask = np.zeros(space.size, bool)
        mask[..., int(at)] = True
        return mask  # type: ignore[return-value]

    found = run(
        'print "low" lowest(scan)\nlet l = same(slices)\nprint "top" max(l)\nprint "n" volume(flat(2) & l >. 1)'
    )
    assert (found["low"], found["top"], found["n"]) == (5, 3, 30)
    assert isinstance(found["l"], vx.Labels)


def test_an_image_of_simpleitk_is_taken_with_its_geometry() -> None:
    @vx.operator(version=1, library="SimpleITK")
    def smooth(image: vx.Image, sigma: vx.Number) -> vx.Image:
        return sitk.SmoothingRecursiveGaussian(image.sitk(), sigma)  # type: ignore[no-any-return]

    @vx.operator(version=1)
    def grown(mask: vx.Mask) -> vx.Mask:
        return sitk.BinaryDilate(mask.sitk(), [1, 0, 0])  # type: ignore[no-any-return]

    @vx.operator(version=1)
    def moved(image: vx.Image) -> vx.Image:
        made = image.sitk()
        made.SetOrigin((0.0, 1.0, 0.0))
        return made  # type: ignore[no-any-return]

    found = run('let s = smooth(i, 2)\nprint "m" max(s)\nprint "n" volume(grown(i >. 118))\nlet w = moved(i)')
    wanted = sitk.SmoothingRecursiveGaussian(sitk.ReadImage("a.nii.gz", sitk.sitkFloat32), 2.0)
    assert np.allclose(found["s"].numpy(), sitk.GetArrayFromImage(wanted).T, atol=1e-4)
    assert found["n"] == 2
    with pytest.raises(vx.ComputationError, match=r"`moved` returned an image on another grid(.|\n)*1 mm apart"):
        found["w"]


def test_it_can_be_called_from_python_too() -> None:
    @vx.operator(version=1)
    def above(image: vx.Image, level: vx.Number) -> vx.Mask:
        return image.numpy() > level  # type: ignore[return-value]

    image = run('print "m" max(i)')["i"]
    assert np.array_equal(above(image, level=7).numpy(), VOXELS > 7)
    assert isinstance(above(image, 7), vx.Mask)
    assert np.array_equal(above.__wrapped__(image, 7), VOXELS > 7)


# Identity


def test_what_was_computed_is_found_again_until_the_version_or_the_name_changes() -> None:
    """A changed text under the same version is refused; layout and comments are no text."""
    calls = []

    def counted(version: int, text: str, name: str = "twice") -> float:
        body = f"def {name}(image: vx.Image) -> vx.Number:\n    calls.append(1)\n    return {text}\n"
        Path(f"m{len(text)}.py").write_text(body)
        scope: dict[str, Any] = {"vx": vx, "calls": calls, "__name__": "mine"}
        exec(compile(body, str(Path(f"m{len(text)}.py").resolve()), "exec"), scope)
        vx.operator(version=version)(scope[name])
        value = run(f'print "v" {name}(i)')["v"]
        assert isinstance(value, float)
        return value

    assert counted(1, "2 * image.numpy().max()") == 238
    assert counted(1, "2 * image.numpy().max()") == 238
    assert len(calls) == 1
    assert counted(1, "2*image.numpy().max()  # another layout") == 238
    assert len(calls) == 1
    with pytest.raises(vx.ProgramError, match="`twice` has changed, and is still of version 1") as caught:
        counted(1, "3 * image.numpy().max() + 1")
    (said,) = caught.value.diagnostics
    assert said.help == "raise it:   @voxlogica.operator(version=2)"
    assert said.span is not None
    assert said.span.text == "twice"
    assert counted(2, "3 * image.numpy().max() + 1") == 358
    assert counted(2, "3 * image.numpy().max() + 1", "double") == 358
    assert len(calls) == 3
    assert counted(1, "2 * image.numpy().max()") == 238  # as it was
    assert len(calls) == 3


def test_no_text_has_part_in_an_id() -> None:
    """An operator of a module is called as it is; one of a function within another has a word that is drawn."""

    def names(text: str, module: str) -> str:
        scope: dict[str, Any] = {"vx": vx, "__name__": module}
        exec(f"def answer(image: vx.Image) -> vx.Number:\n    return {text}\n", scope)
        return str(vx.operator(version=1)(scope["answer"]).declaration.name)

    assert names("1", "mine") == names("2", "mine") == "mine:answer"
    operators._own.clear()
    one, two, again = names("1", "__main__"), names("2", "__main__"), names("1", "__main__")
    assert one == again != two
    assert re.fullmatch(r"__main__:answer#[0-9a-f]{16}", one)


def test_what_takes_something_from_around_it_is_another_each_time() -> None:
    def declare(number: float) -> float:
        @vx.operator(version=1)
        def answer(image: vx.Image) -> vx.Number:
            return number

        return run('print "v" answer(i)').printed["v"]  # type: ignore[return-value]

    assert (declare(1), declare(2)) == (1, 2)


def test_what_is_declared_again_is_for_the_programs_that_are_read_from_then_on() -> None:
    def declare(number: float) -> None:
        @vx.operator(version=int(number))
        def answer(image: vx.Image) -> vx.Number:
            return number

    declare(1)
    first = vx.program(LOAD + 'print "v" answer(i)')
    declare(2)
    second = vx.program(LOAD + 'print "v" answer(i)')
    assert (first.run()["v"], second.run()["v"]) == (1, 2)


# What cannot be an operator


def no_type(image) -> vx.Mask:  # type: ignore[no-untyped-def]
    raise NotImplementedError


def no_result(image: vx.Image):  # type: ignore[no-untyped-def]
    raise NotImplementedError


def an_integer(image: vx.Image, n: int) -> vx.Mask:
    raise NotImplementedError


def an_array(image: np.ndarray) -> vx.Mask:
    raise NotImplementedError


def either(image: vx.Image | vx.Mask) -> vx.Mask:
    raise NotImplementedError


def unknown(image: Nowhere) -> vx.Mask:  # type: ignore[name-defined]  # noqa: F821
    raise NotImplementedError


def optional(image: vx.Image, n: vx.Number = 1) -> vx.Mask:
    raise NotImplementedError


def any_number(*images: vx.Image) -> vx.Mask:
    raise NotImplementedError


def nowhere(n: vx.Number) -> vx.Image:
    raise NotImplementedError


def of_a_file(image: vx.Image) -> vx.Model:
    raise NotImplementedError


def near(a: vx.Mask) -> vx.Mask:
    raise NotImplementedError


def touch(a: vx.Mask, b: vx.Mask) -> vx.Mask:
    raise NotImplementedError


def fold(a: vx.Mask) -> vx.Mask:
    raise NotImplementedError


def late(space: vx.Image, image: vx.Space) -> vx.Mask:
    raise NotImplementedError


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (no_type, "`image` of `no_type` has no type"),
        (no_result, "the result of `no_result` has no type"),
        (an_integer, "`n` of `an_integer` is of type int, which no program has"),
        (an_array, "`image` of `an_array` is of type ndarray, which no program has"),
        (either, "`image` of `either` is of type voxlogica.session.volumes.Image | voxlogica.session.volumes.Mask"),
        (unknown, "an annotation of `unknown` cannot be read: name 'Nowhere' is not defined"),
        (optional, "`n` of `optional` has a default, and an operator has all its arguments, one by one"),
        (any_number, "`images` of `any_number` is written *images"),
        (nowhere, "`nowhere` returns a number image, and nothing says on which grid"),
        (of_a_file, "`of_a_file` returns a model, which only a file is"),
        (near, "there is an operator `near` already"),
        (touch, "there is an operator `touch` already"),
        (fold, "`fold` is a word of the language"),
        (late, "`image` of `late` is of type Space, which no program has"),
    ],
)
def test_a_function_that_cannot_be_an_operator(function: Callable[..., vx.Mask], message: str) -> None:
    with pytest.raises(vx.ProgramError, match=re.escape(message)) as caught:
        vx.operator(version=1)(function)
    (diagnostic,) = caught.value.diagnostics
    assert diagnostic.span is not None
    assert diagnostic.span.text == function.__name__
    assert diagnostic.span.source.name == __file__
    assert not operators.own()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "the version of `fine` is a whole number from 1, not 0"),
        ({"version": 0}, "the version of `fine` is a whole number from 1, not 0"),
        ({"version": "1"}, "the version of `fine` is a whole number from 1, not '1'"),
        ({"version": 1, "library": "skimage"}, "`fine` is computed by the package 'skimage', which is not installed"),
        ({"version": 1, "cost": "much"}, "`fine` has the unknown cost 'much'"),
        ({"version": 1, "isolate": True}, "`fine` is to run in a process of its own, which could not import it"),
    ],
)
def test_options_that_cannot_be(options: dict[str, Any], message: str) -> None:
    def fine(image: vx.Image) -> vx.Mask:
        raise NotImplementedError

    with pytest.raises(vx.ProgramError, match=re.escape(message)):
        vx.operator(**options)(fine)


def test_what_is_no_function_or_declared_elsewhere() -> None:
    with pytest.raises(vx.ProgramError, match="is not a function with a name"):
        vx.operator(version=1)(lambda image: image)
    with pytest.raises(vx.ProgramError, match=r"write   @voxlogica\.operator\(version=1\)"):
        vx.operator(near)
    Path("one.py").write_text(FILE)
    Path("two.py").write_text(FILE)
    from voxlogica.session import own

    own.load(Path("one.py"))
    with pytest.raises(vx.ProgramError, match="there is an operator `above` already, declared in one"):
        own.load(Path("two.py"))


# What goes wrong while it runs


def failing(result: object, kind: Any) -> VoxLogicAError:
    def wrong(image: vx.Image) -> vx.Image:
        return result(image) if callable(result) else result  # type: ignore[return-value]

    wrong.__annotations__["return"] = kind
    vx.operator(version=1)(wrong)
    goal = "" if kind in (vx.Number, vx.Bool, vx.Text) else "max" if kind is not vx.Mask else "volume"
    with pytest.raises(vx.ComputationError) as caught, vx.Session(store=False):
        run(f'print "v" {goal}(wrong(i))')
    return caught.value


@pytest.mark.parametrize(
    ("result", "kind", "message"),
    [
        (None, vx.Image, "`wrong` is to return a number image, and returned a value of type NoneType"),
        (None, vx.Number, "`wrong` is to return a number, and returned a value of type NoneType"),
        (True, vx.Number, "`wrong` is to return a number, and returned a value of type bool"),
        (1, vx.Bool, "`wrong` is to return a bool, and returned a value of type int"),
        (np.ones(3), vx.Number, "`wrong` is to return a number, and returned an array of float64"),
        (3.0, vx.Mask, "`wrong` is to return a mask, and returned a value of type float"),
        (VOXELS.T, vx.Image, "`wrong` returned an array of 4 x 5 x 6, and the grid has 6 x 5 x 4 voxels"),
        (VOXELS, vx.Mask, "`wrong` is to return a mask, and returned an array of int16"),
        (VOXELS > 3, vx.Image, "`wrong` is to return a number image, and returned an array of bool"),
        (VOXELS * 1j, vx.Image, "`wrong` is to return a number image, and returned an array of complex128"),
        (VOXELS - 7, vx.Labels, "`wrong` is to return labels, whole numbers from 0, and returned others"),
        (VOXELS * np.nan, vx.Labels, "`wrong` is to return labels, whole numbers from 0, and returned others"),
        (lambda image: image, vx.Mask, "`wrong` is to return a mask, and returned a value of type Image"),
        (lambda image: image, vx.Labels, "`wrong` is to return labels, and returned a value of type Image"),
    ],
)
def test_a_result_that_is_not_what_was_declared(result: object, kind: Any, message: str) -> None:
    assert failing(result, kind).diagnostics[0].message == message


def test_what_it_raises_is_told_with_its_line() -> None:
    def impossible(image: vx.Image) -> None:
        raise ValueError("the radius must be positive")

    (diagnostic,) = failing(impossible, vx.Image).diagnostics
    assert diagnostic.message == "`wrong` raised ValueError: the radius must be positive"
    assert re.fullmatch(r'.*test_own_operators\.py:\d+   raise ValueError\("the .*"\)', diagnostic.details[0])
    assert diagnostic.span is not None
    assert diagnostic.span.text == "wrong"


def test_it_changes_nothing_and_runs_no_program() -> None:
    def greedy(image: vx.Image) -> None:
        image.numpy()[0] = 1

    assert "read-only" in failing(greedy, vx.Image).diagnostics[0].message
    assert "may not run programs" in failing(lambda _: vx.program('print "v" 1').run(), vx.Image).diagnostics[0].message


def test_what_it_returns_is_copied() -> None:
    kept = VOXELS.astype(np.float32)

    @vx.operator(version=1)
    def sly(image: vx.Image) -> vx.Image:
        return kept  # type: ignore[return-value]

    found = run('let s = sly(i)\nprint "m" max(s)')
    kept[:] = -1
    assert np.array_equal(found["s"].numpy(), VOXELS)


def test_cancelling_a_task_of_asyncio_cancels_the_run() -> None:
    begun, free, called = threading.Event(), threading.Event(), []

    @vx.operator(version=1)
    def first(image: vx.Image) -> vx.Image:
        begun.set()
        assert free.wait(20)
        return image

    @vx.operator(version=1)
    def second(image: vx.Image) -> vx.Image:
        called.append(1)
        return image

    async def impatient() -> None:
        task = asyncio.create_task(vx.program(LOAD + 'print "v" max(second(first(i)))').arun())
        await asyncio.to_thread(begun.wait, 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        free.set()

    with vx.Session(store=False):
        asyncio.run(impatient())
    assert not called


# From files


def test_one_in_a_process_of_its_own() -> None:
    from voxlogica.session import own

    Path("ops.py").write_text(FILE)
    own.load(Path("ops.py"))
    assert run('print "pid" elsewhere(i)')["pid"] != os.getpid()
    with pytest.raises(vx.VoxLogicAError, match="the process that computed it ended with status 3"):
        run('print "m" max(dies(i))')


def test_a_process_of_its_own_never_computes_with_another_text() -> None:
    from voxlogica.session import own

    Path("ops.py").write_text(FILE)
    own.load(Path("ops.py"))
    Path("ops.py").write_text(FILE.replace("os.getpid() + 0", "17 + 0"))
    with pytest.raises(vx.MachineError, match="the text of `elsewhere` has changed since the program was read"):
        run('print "pid" elsewhere(i)')


@pytest.fixture
def voxlogica_(capfd: pytest.CaptureFixture[str]) -> Command:
    return commands(capfd)


def test_reports_and_differences_make_again_what_operators_of_ones_own_made(
    voxlogica_: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With their file; without it, what is not stored is not shown, and why not is said."""
    Path("ops.py").write_text(FILE)
    Path("p.imgql").write_text(LOAD + 'let k = 100\nlet m = above(i, k)\nprint "n" volume(m)\nsave "m.nii" m')
    for k in ("90", "100"):
        assert voxlogica_("run", "p.imgql", "--operators", "ops.py", "--set", f"k={k}").status == 0
    assert voxlogica_("store", "clear", "--yes").status == 0
    again = ("--operators", "ops.py")
    assert voxlogica_("diff", "r1", "r2", *again).out.splitlines()[-1].split() == ["m", "10", "0", "19"]
    assert voxlogica_("report", "r1", *again) == (0, "r1.html\n", "")
    assert "<img" in Path("r1.html").read_text()
    assert voxlogica_("store", "clear", "--yes").status == 0
    monkeypatch.setattr(operators, "_own", {})
    said = "since its program is wrong now: there is no `above`; is --operators missing?"
    status, out, err = voxlogica_("diff", "r1", "r2")
    assert (status, "masks" in out) == (0, False)
    assert err == "".join(f"note: only what is stored of {run} is known, {said}\n" for run in ("r1", "r2"))
    assert voxlogica_("report", "r1").err == f"note: only what is stored of r1 is known, {said}\n"
    page = Path("r1.html").read_text()
    assert "No pictures: the program is wrong now, there is no `above`." in page
    assert "<img" not in page


def test_the_command_line_loads_files_that_are_named(voxlogica_: Command) -> None:
    Path("ops.py").write_text(FILE)
    Path("p.imgql").write_text(LOAD + 'print "n" volume(above(i, 100))')
    status, out, err = voxlogica_("run", "p.imgql")
    assert (status, out) == (2, "")
    assert "there is no `above`" in err
    assert voxlogica_("run", "p.imgql", "--operators", "ops.py") == (0, "n=19\n", "")
    status, out, _ = voxlogica_("operators", "above", "--operators", "ops.py")
    assert out == (
        "above(image: number image, level: number) -> mask\n\nWhere the image is more than a level.\n\n"
        "The rest of the entry.\n"
    )
    assert "  above(image: number image, level: number) -> mask" in voxlogica_("operators", "--operators", "ops.py")[1]


def test_the_store_knows_of_which_text_a_version_is(voxlogica_: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also for goals that are stored already, and of another process: nobody gets what an older text made."""
    Path("p.imgql").write_text(LOAD + 'print "n" volume(above(i, 100))')

    def running(text: str, *more: str, command: str = "run") -> tuple[int, str, str]:
        Path("ops.py").write_text(text)
        sys.modules.pop("ops", None)
        linecache.checkcache()
        shutil.rmtree("__pycache__", ignore_errors=True)
        monkeypatch.setattr(operators, "_own", {})
        return voxlogica_(command, "p.imgql", "--operators", "ops.py", *more)

    assert running(FILE) == (0, "n=19\n", "")
    assert running(FILE.replace("image.numpy() > level", "image.numpy()>level  # the same")) == (0, "n=19\n", "")
    other = FILE.replace("> level", ">= level")
    for command, more in (("run", ()), ("run", ("-n",)), ("plan", ())):
        status, out, err = running(other, *more, command=command)
        assert (status, out) == (2, "")
        assert err.startswith("error[operator]: `above` has changed, and is still of version 1\n")
        assert "def above" in err
        assert "raise it:   @voxlogica.operator(version=2)" in err
    assert running(other, "--no-store") == (0, "n=20\n", "")
    raised = other.replace("(version=1)\ndef above", "(version=2)\ndef above")
    assert running(raised) == (0, "n=20\n", "")
    assert running(FILE) == (0, "n=19\n", "")
    Path("p.imgql").write_text(LOAD + 'print "n" max(i)')
    assert running(other) == (0, "n=119\n", "")  # who does not use it is not told


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("absent.py", None, "--operators absent.py: there is no such file of Python"),
        ("ops.txt", FILE, "--operators ops.txt: there is no such file of Python"),
        ("json.py", FILE, "--operators json.py cannot be imported:"),
        ("my-ops.py", FILE, "--operators my-ops.py cannot be imported: it is no name of a module"),
        ("ops.py", "x = 1", "--operators ops.py: it declares no operator"),
        ("ops.py", "x = 1 / 0", "ops.py raised ZeroDivisionError: division by zero"),
        ("ops.py", "def x(:", "ops.py raised SyntaxError: invalid syntax (ops.py, line 1)"),
        ("ops.py", FILE.replace("vx.Number)", "int)"), "`level` of `above` is of type int, which no program has"),
    ],
)
def test_a_file_of_operators_that_is_wrong(voxlogica_: Command, name: str, text: str | None, message: str) -> None:
    if text is not None:
        Path(name).write_text(text)
    Path("p.imgql").write_text(LOAD + 'print "n" volume(above(i, 100))')
    status, out, err = voxlogica_("run", "p.imgql", "--operators", name)
    assert (status, out) == (2, "")
    assert message in err
