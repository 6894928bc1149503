"""Operators of one's own: functions of Python that programs call as any other.

    @vx.operator(version=1)
    def texture(image: vx.Image, radius: vx.Number) -> vx.Image:
        '''How rough the image is within so many mm.'''
        return my_filter(image.numpy(), radius)

The annotations are the types the checker sees. The function gets volumes, numbers, truth values and texts, and returns
such a value, or an array [i, j, k] for what has voxels, or an instance of a dataclass of these, which is a record to
programs. Its results are kept and found again under its module, its name and its version, which is raised when they
change. So that nobody gets results of an older text by forgetting that, the store notes the text of each version: under
another text the same version is refused. What no module holds, a function of a script, of a notebook or of another
function, is of this process alone, and each text of it an operator of its own.
"""

from __future__ import annotations

import inspect
import io
import linecache
import marshal
import secrets
import sys
import tokenize
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import update_wrapper
from importlib import import_module, metadata
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING, Any, Generic, ParamSpec, TypeVar, get_type_hints

from voxlogica import identity, images, operators, values
from voxlogica._dataclass import annotations_of
from voxlogica.check.manual import entries
from voxlogica.errors import ProgramError, Refusal, Source, Span, VoxLogicAError
from voxlogica.formula import BOOL, IMAGE, LABELS, MASK, MODEL, NUMBER, STRING, Operator, Type, record
from voxlogica.images.files import Circumstance
from voxlogica.session import volumes
from voxlogica.session.volumes import Volume, shown
from voxlogica.syntax.lexer import words
from voxlogica.values import Space

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Number, Bool, Text = float, bool, str
"""The types of what has no voxels."""

_BODY = "body_"

P = ParamSpec("P")
R = TypeVar("R")

_TYPES: Mapping[object, Type] = {
    float: NUMBER, bool: BOOL, str: STRING,
    volumes.Model: MODEL, volumes.Image: IMAGE, volumes.Mask: MASK, volumes.Labels: LABELS,
}  # fmt: skip
_NAMES = "vx.Image, vx.Mask, vx.Labels, vx.Number, vx.Bool or vx.Text"


class OwnOperator(Generic[P, R]):
    """A function that programs may call. Calling it does what a program's call does, and keeps nothing.

    `declaration` is what the checker sees; `__wrapped__` the function.
    """

    def __init__(self, function: Callable[P, R], declaration: Operator) -> None:
        update_wrapper(self, function)
        self._function, self.declaration = function, declaration
        setattr(self, declaration.body.__qualname__.rpartition(".")[2], declaration.body)

    def __getattr__(self, name: str) -> object:
        """A process of its own looks for the body that its parent has, and finds another."""
        if not name.startswith(_BODY):
            raise AttributeError(f"an operator has no attribute {name!r}")
        message = f"the text of `{self.declaration.symbol}` has changed since the program was read"
        raise Circumstance(message, help="run again")

    def __call__(self, *arguments: P.args, **named: P.kwargs) -> R:
        result: R = _call(self._function, self.declaration, arguments, named)
        return result

    def __repr__(self) -> str:
        return f"<operator {self.declaration.signature}, version {self.declaration.version}>"


def operator(
    *function: object, version: int = 0, cost: str = "", isolate: bool = False, library: str = ""
) -> Callable[[Callable[P, R]], OwnOperator[P, R]]:
    """Declares the decorated function as an operator for the programs of this process.

    `version` is raised when its results change; another text under the same version is refused. `library` is the
    package that computes it, whose version has part in the identity. `isolate` has it run in a process of its own, for
    what may crash or must be killable: that process imports the function's module. `cost` names the class of its
    running time, one of the built-in operators'; without it, every result is stored.

    A leading parameter `space: vx.Space` is filled with the grid. The same arguments must give the same result: nothing
    else may be read. Raises `ProgramError` when the signature cannot be an operator's.
    """
    if function:
        help = "write   @voxlogica.operator(version=1)"
        raise ProgramError.of("operator", "an operator is declared with a version", help=help)

    def declare(function: Callable[P, R]) -> OwnOperator[P, R]:
        declaration = _declaration(function, version, cost, isolate, library)
        operators.declare_own(declaration)
        return OwnOperator(function, declaration)

    return declare


def load(path: Path) -> None:
    """Runs a file of Python that declares operators, as a module called as the file is. Raises `ProgramError`."""
    help = "operators are declared in a file of Python, with @voxlogica.operator(version=1)"
    if not path.is_file() or path.suffix != ".py":
        raise ProgramError.of("usage", f"--operators {path}: there is no such file of Python", help=help)
    directory = str(path.resolve().parent)
    if directory not in sys.path:
        sys.path.append(directory)  # at the end: its neighbours hide no other module
    found = find_spec(path.stem) if path.stem.isidentifier() else None
    if found is None or found.origin is None or Path(found.origin).resolve() != path.resolve():
        why = f"{found.origin} is called so too" if found is not None else "it is no name of a module"
        raise ProgramError.of("usage", f"--operators {path} cannot be imported: {why}", help="rename the file")
    try:
        import_module(path.stem)
    except VoxLogicAError:
        raise
    except Exception as error:
        raise ProgramError.of("operator", f"{path} raised {_told(error)}", details=_where(error)) from error
    if all(each.body.__module__ != path.stem for each in operators.own().values()):
        raise ProgramError.of("usage", f"--operators {path}: it declares no operator", help=help)


# Declaration


def _declaration(function: Callable[..., object], version: object, cost: str, isolate: bool, library: str) -> Operator:
    if not inspect.isfunction(function) or inspect.iscoroutinefunction(function) or "<" in function.__name__:
        raise ProgramError.of("operator", f"{function!r} is not a function with a name, and cannot be an operator")
    name, module = function.__name__, function.__module__

    def wrong(message: str, help: str = "") -> VoxLogicAError:
        return ProgramError.of("operator", message, _place(function), help=help)

    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise wrong(f"the version of `{name}` is a whole number from 1, not {version!r}")
    if cost and cost not in operators.COSTS:
        raise wrong(f"`{name}` has the unknown cost {cost!r}", f"there are {', '.join(operators.COSTS)}")
    if isolate and (module == "__main__" or "<" in function.__qualname__):
        help = "put it in a module, at the top level, and import that"
        raise wrong(f"`{name}` is to run in a process of its own, which could not import it", help)
    if name in words(None):
        raise wrong(f"`{name}` is a word of the language")
    here = operators.own().get(name)
    other = here.body.__module__ if here is not None else ""
    if other and other != module:
        raise wrong(f"there is an operator `{name}` already, declared in {other}", "give it another name")
    if not other and any(entry.name == name for entry in entries()):
        raise wrong(f"there is an operator `{name}` already", f"`voxlogica operators {name}` explains it")
    if library and not _installed(library):
        raise wrong(f"`{name}` is computed by the package {library!r}, which is not installed", "write it as pip does")
    parameters, needs_space, result = _signature(function, wrong)
    described = [f"\n{field}: {kind}".encode() for field, kind in (result.fields or {}).items()]
    digest = identity.file_digest([_text(function), *described]).hex()[:16]
    whole = f"{module}:{function.__qualname__}"
    declaration = Operator(
        name=whole if module != "__main__" and "<" not in whole else f"{whole}#{_token(function, digest)}",
        symbol=name,
        version=version,
        parameters=parameters,
        result=result,
        body=_body(function, digest, lambda: declaration),
        doc=inspect.getdoc(function) or "",
        cost=cost,
        needs_space=needs_space,
        isolate=isolate,
        library=library,
    )
    return declaration


def _token(function: Callable[..., object], digest: str) -> str:
    """What tells a text of a function that no module holds from all others, here and in other processes.

    It is drawn, so that no text has part in an id. What a function takes from around it is no text: it has its own.
    """
    token = secrets.token_hex(8)
    return token if function.__closure__ else _tokens.setdefault((function.__qualname__, digest), token)


_tokens: dict[tuple[str, str], str] = {}


def vouch(found: Iterable[Operator], noted: Callable[[str, str], str]) -> None:
    """Raises `ProgramError` for an operator of which another text is known under the same version.

    `noted` takes a name for an operator's version, and a digest of its text; it answers with the one it was told first.
    """
    for each in sorted(found, key=lambda operator: operator.name):
        digest = each.body.__qualname__.rpartition(_BODY)[2]
        if ":" in each.name and "#" not in each.name and noted(f"text of {each.name} {each.version}", digest) != digest:
            message = f"`{each.symbol}` has changed, and is still of version {each.version}"
            why = "results of another text are kept under this version"
            help = f"raise it:   @voxlogica.operator(version={each.version + 1})"
            function: Callable[..., object] = each.body.__wrapped__  # type: ignore[attr-defined]
            raise ProgramError.of("operator", message, _place(function), details=(why,), help=help)


def _signature(
    function: Callable[..., object], wrong: Callable[..., VoxLogicAError]
) -> tuple[tuple[tuple[str, Type], ...], bool, Type]:
    """The parameters, whether the grid comes first, and the type of the result."""
    name = function.__name__
    try:
        hints = get_type_hints(function)
    except (NameError, AttributeError, TypeError) as error:
        raise wrong(f"an annotation of `{name}` cannot be read: {error}", f"write {_NAMES}") from error
    parameters: list[tuple[str, Type]] = []
    needs_space = False
    for number, each in enumerate(inspect.signature(function).parameters.values()):
        if each.kind is not each.POSITIONAL_OR_KEYWORD or each.default is not each.empty:
            how = "has a default" if each.default is not each.empty else f"is written {each}"
            raise wrong(f"`{each.name}` of `{name}` {how}, and an operator has all its arguments, one by one")
        if number == 0 and hints.get(each.name) is Space:
            needs_space = True
        else:
            parameters.append((each.name, _type(hints, each.name, f"`{each.name}` of `{name}`", wrong)))
    result = _result_type(hints, name, wrong)
    if MODEL in (result, *(result.fields or {}).values()):
        raise wrong(f"`{name}` returns a model, which only a file is", "return vx.Image")
    if result.spatial and not needs_space and not any(kind.spatial for _, kind in parameters):
        help = "take an image or a mask, or the grid:   (space: vx.Space, …)"
        raise wrong(f"`{name}` returns {_a(result)}, and nothing says on which grid", help)
    return tuple(parameters), needs_space, result


def _result_type(hints: Mapping[str, object], name: str, wrong: Callable[..., VoxLogicAError]) -> Type:
    """The type of a result: of a dataclass a record."""
    hint = hints.get("return")
    if annotations_of(hint) is None or hint in _TYPES:
        return _type(hints, "return", f"the result of `{name}`", wrong)
    fields = get_type_hints(hint)
    kinds = [(each, _type(fields, each, f"`{each}` of the result of `{name}`", wrong)) for each in fields]
    return record(*kinds)


def _type(hints: Mapping[str, object], name: str, what: str, wrong: Callable[..., VoxLogicAError]) -> Type:
    if name not in hints:
        raise wrong(f"{what} has no type", f"write {_NAMES}")
    hint = hints[name]
    found = _TYPES.get(hint) if isinstance(hint, type) else None
    if found is None:
        shown = hint.__name__ if isinstance(hint, type) else str(hint)
        raise wrong(f"{what} is of type {shown}, which no program has", f"write {_NAMES}")
    return found


def _installed(package: str) -> bool:
    try:
        return bool(metadata.version(package))
    except metadata.PackageNotFoundError:
        return False


def _text(function: Callable[..., object]) -> bytes:
    """The function as it is written, without decorators, comments and layout; as it is compiled if there is no text."""
    try:
        source = inspect.getsource(function)
    except (OSError, TypeError):
        return marshal.dumps(function.__code__)
    words = [each.string for each in tokenize.generate_tokens(io.StringIO(dedent(source)).readline)
             if each.type not in (tokenize.COMMENT, tokenize.NL)]  # fmt: skip
    return "\0".join(words[words.index("def") :]).encode()


def _place(function: Callable[..., object]) -> Span | None:
    """The name of a function where it is defined."""
    code = function.__code__
    text = "".join(linecache.getlines(code.co_filename))
    lines = text.splitlines(keepends=True)
    for number in range(code.co_firstlineno - 1, len(lines)):  # the first decorator's
        at = lines[number].find(f"def {function.__name__}")
        if at >= 0:
            start = sum(map(len, lines[:number])) + at + 4
            return Span(Source(code.co_filename, text), start, start + len(function.__name__))
    return None


def _body(
    function: Callable[..., object], digest: str, declaration: Callable[[], Operator]
) -> Callable[..., values.Value]:
    """What the engine calls: plain values in, a plain value out. Found by others as `module:function.body_DIGEST`."""

    def body(*arguments: object) -> values.Value:
        result: object = _call(function, declaration(), arguments, {})
        if isinstance(result, values.Record):
            return values.Record({name: _plain(each) for name, each in result.items()})
        return _plain(result)

    body.__wrapped__ = function  # type: ignore[attr-defined]
    body.__module__, body.__qualname__ = function.__module__, f"{function.__qualname__}.{_BODY}{digest}"
    return body


# Calls


def _plain(value: object) -> values.Value:
    return value.plain if isinstance(value, Volume) else value  # type: ignore[return-value]


def _call(
    function: Callable[..., Any], declaration: Operator, arguments: Sequence[Any], named: Mapping[str, Any]
) -> Any:
    given = [value if isinstance(value, (Volume, Space)) else shown(value) for value in arguments]
    space = next((v if isinstance(v, Space) else v.space for v in (*given, *named.values()) if _has_space(v)), None)
    try:
        result = function(*given, **named)
    except (Refusal, VoxLogicAError, MemoryError, OSError):
        raise  # what the engine knows to tell
    except Exception as error:
        raise Refusal(f"`{declaration.symbol}` raised {_told(error)}", _where(error)) from error
    return _Result(declaration.symbol, declaration.result, space).checked(result)


def _has_space(value: object) -> bool:
    return isinstance(value, (Volume, Space))


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _where(error: Exception) -> tuple[str, ...]:
    """The line of the user's code that raised."""
    frames = [each for each in traceback.extract_tb(error.__traceback__) if each.filename != __file__]
    return tuple(f"{each.filename}:{each.lineno}   {each.line}".rstrip() for each in frames[-1:])


class _Result:
    """What an operator has returned, made what it is declared to return; raises `Refusal` for anything else."""

    def __init__(self, name: str, wanted: Type, space: Space | None) -> None:
        self._name, self._wanted, self._space = name, wanted, space

    def checked(self, result: object) -> object:
        """The value as people have it."""
        if self._wanted.fields is not None:
            return self._record(result, self._wanted.fields)
        if self._wanted.spatial:
            return shown(self._volume(result))
        plain = result.item() if hasattr(result, "item") and not getattr(result, "shape", None) else result
        if self._wanted is NUMBER and isinstance(plain, (int, float)) and not isinstance(plain, bool):
            return float(plain)
        if (self._wanted is BOOL and isinstance(plain, bool)) or (self._wanted is STRING and isinstance(plain, str)):
            return plain
        raise self._other(result)

    def _record(self, result: object, fields: Mapping[str, Type]) -> values.Record:
        if list(annotations_of(type(result)) or ()) != list(fields):
            raise self._other(result)
        found = {name: _Result(f"{self._name}.{name}", kind, self._space) for name, kind in fields.items()}
        made: dict[str, Any] = {name: each.checked(getattr(result, name)) for name, each in found.items()}
        return values.Record(made)

    def _other(self, result: object, help: str = "") -> Refusal:
        dtype = getattr(result, "dtype", None)
        what = f"an array of {dtype}" if dtype is not None else f"a value of type {type(result).__name__}"
        return Refusal(f"`{self._name}` is to return {_a(self._wanted)}, and returned {what}", help=help)

    def _volume(self, result: object) -> values.Mask | values.Image:
        import numpy as np

        if self._space is None:
            raise Refusal(f"`{self._name}` is to return {_a(self._wanted)}, and was given nothing that has a grid")
        if not isinstance(result, np.ndarray):
            result = self._array(result)
        if result.shape != self._space.size:
            size, shape = (" x ".join(map(str, each)) for each in (self._space.size, result.shape))
            help = "index it [i, j, k], as numpy() does; an array of SimpleITK's is [k, j, i]: return the image itself"
            raise Refusal(f"`{self._name}` returned an array of {shape}, and the grid has {size} voxels", help=help)
        return self._of_array(result)

    def _array(self, result: object) -> NDArray[Any]:
        """The voxels of an image on this grid."""
        assert self._space is not None
        kind = {MASK: values.Mask, IMAGE: values.Image, LABELS: values.Labels}[self._wanted]
        ours = isinstance(result, (values.Mask, values.Image, values.Model))
        if ours and not isinstance(result, kind):
            raise self._other(result)
        try:
            model = images.taken("the image", result)
        except Refusal as refusal:
            raise self._other(result, "return an array [i, j, k], or an image") from refusal
        apart = images.difference(model.space, self._space)
        if apart is not None:
            table = images.table("returned", model.space, "the grid", self._space, apart)
            raise Refusal(f"`{self._name}` returned an image on another grid than that of its arguments", table)
        array = model.numpy()
        return array != 0 if self._wanted is MASK and bool(((array == 0) | (array == 1)).all()) else array

    def _of_array(self, array: NDArray[Any]) -> values.Mask | values.Image:
        import numpy as np

        assert self._space is not None
        if self._wanted is MASK:
            from voxlogica.kernels import masks

            if array.dtype != np.bool_:
                raise self._other(array, "compare it with something, for instance   array > 0")
            bits: NDArray[np.uint8] = np.array(array.T, np.uint8, order="C").reshape(self._space.shape)
            return values.Mask.of(self._space, masks.pack(bits))
        if array.dtype.kind not in "iuf":
            raise self._other(array, "declare it   -> vx.Mask" if array.dtype == np.bool_ else "")
        with np.errstate(over="ignore"):
            numbers: NDArray[np.float32] = np.array(array.T, np.float32, order="C").reshape(self._space.shape)
        if self._wanted is not LABELS:
            return values.Image.of(self._space, numbers)
        if not ((numbers >= 0) & (numbers == np.rint(numbers))).all():
            raise Refusal(f"`{self._name}` is to return labels, whole numbers from 0, and returned others")
        return values.Labels.of(self._space, numbers)


def _a(kind: Type) -> str:
    return kind.name if kind is LABELS else f"a {kind}"
