"""Names of version 2 that are not there, and what is written instead."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from voxlogica._dataclass import NamedTuple
from voxlogica.library import NAMESPACES


class Instead(NamedTuple):
    """Why a name is not there, and what to do."""

    reason: str
    help: str


_TESTING = Instead("tries version 2's own engine, and is not there", "a computation that takes a while:   dt(tt)")
_NETWORK = Instead(
    "runs nnU-Net, which VoxLogicA does not",
    "run nnU-Net by itself, and load what it writes;\n"
    "or declare an operator of your own that runs it:   @voxlogica.operator(version=1, isolate=True)",
)
_ABSENT: Mapping[str, Instead] = MappingProxyType(
    {
        "default.sequence": Instead("is how version 2 calls a list", "write   [a, b]"),
        "default.for_loop": Instead("is how version 2 calls a loop", "write   for x in xs do …"),
        "default.dask_map": Instead("is an old name of `map`", "write   map(f, xs)"),
        "default.print_primitive": Instead("is how version 2 calls `print`", 'write   print "label" value'),
        "default.overlay": Instead(
            "makes layers for a viewer, and there is no value of layers",
            "save the masks, and `voxlogica report` shows them over their image;\n"
            "a picture in colours is   overlayColor(mask, model, 255, 0, 0)",
        ),
        "test.impure": Instead(
            "prints when it is computed, and what is computed here has no effect but its value (C18)",
            "the events of a run say what was computed",
        ),
        **dict.fromkeys(
            [f"test.{name}" for name in ("timewaste", "demo_data", "enqueue", "workflow_controller")], _TESTING
        ),
        **dict.fromkeys(
            [f"nnunet.{name}" for name in ("train", "make_predictor", "predict", "env_check")], _NETWORK
        ),
    }
)  # fmt: skip


def instead_of(name: str) -> Instead | None:
    """What is written instead of a name, whole or without its namespace; None where version 2 has none either."""
    if name.partition(".")[0] == "nnunet":
        return _NETWORK
    return _ABSENT.get(name) or next((_ABSENT[w] for n in NAMESPACES if (w := f"{n}.{name}") in _ABSENT), None)
