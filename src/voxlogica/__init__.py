"""VoxLogicA: a spatial model checker for images.

    import voxlogica as vx

    run = vx.load("gbm.imgql").run(NAME="case7", hi=0.93)
    run["dice"], run["tumour"].numpy()

Importing this package imports nothing else: what is used is imported when it is.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from voxlogica._version import VERSION as __version__

if TYPE_CHECKING:
    from voxlogica.errors import (
        ComputationError,
        InputError,
        InternalError,
        MachineError,
        ProgramError,
        VoxLogicAError,
    )
    from voxlogica.session import Program, Run, Session, cases, diff, load, program
    from voxlogica.session.own import Bool, Number, Text, operator
    from voxlogica.session.studies import Study
    from voxlogica.session.volumes import Image, Labels, Mask, Model
    from voxlogica.study.cases import Cases
    from voxlogica.values import Space

_PLACES = {
    **dict.fromkeys(("Program", "Run", "Session", "cases", "diff", "load", "program"), "session"),
    "Cases": "study.cases",
    **dict.fromkeys(("Image", "Labels", "Mask", "Model"), "session.volumes"),
    **dict.fromkeys(("Bool", "Number", "Text", "operator"), "session.own"),
    "load_ipython_extension": "session.notebook",  # what `%load_ext voxlogica` asks for
    "Space": "values",
    "Study": "session.studies",
    **dict.fromkeys(
        ("ComputationError", "InputError", "InternalError", "MachineError", "ProgramError", "VoxLogicAError"), "errors"
    ),
}

__all__ = [
    "Bool",
    "Cases",
    "ComputationError",
    "Image",
    "InputError",
    "InternalError",
    "Labels",
    "MachineError",
    "Mask",
    "Model",
    "Number",
    "Program",
    "ProgramError",
    "Run",
    "Session",
    "Space",
    "Study",
    "Text",
    "VoxLogicAError",
    "__version__",
    "cases",
    "diff",
    "load",
    "operator",
    "program",
]


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module 'voxlogica' has no attribute {name!r}")
    return getattr(import_module(f"voxlogica.{_PLACES[name]}"), name)


def __dir__() -> list[str]:
    return __all__
