"""Python's dataclasses and named tuples, made quickly: the same classes, for the use this package makes of them.

`dataclasses` compiles six methods for each class when a module is imported, 0.3 ms each, and imports `inspect` to do
so: for our 80 classes that was more than a quarter of the time of a short run (docs/design.md). Here only `__init__` is
compiled, when it is first asked for, and the other methods are closures. What is left out (`ClassVar`, `InitVar`,
`KW_ONLY`) is refused when the class is made. It is the same with the `__new__` of named tuples, of which there are a
hundred. Type checkers see Python's own; tests/test_dataclass.py holds the two beside each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

_FIELDS = "__record_fields__"

if TYPE_CHECKING:
    from dataclasses import asdict, dataclass, field, replace
    from typing import NamedTuple
else:
    from _collections import _tuplegetter
    from operator import attrgetter
    from types import MemberDescriptorType

    _MISSING = object()

    class field:
        """A field: its default, or what makes it; whether it is compared, and shown."""

        __slots__ = ("compare", "default", "default_factory", "kw_only", "repr", "type")

        def __init__(self, *, default=_MISSING, default_factory=None, compare=True, repr=True, kw_only=False):
            self.default, self.default_factory, self.kw_only = default, default_factory, kw_only
            self.compare, self.repr = compare, repr

        @property
        def needed(self):
            """Whether every instance has to be given it."""
            return self.default is _MISSING and self.default_factory is None

    def dataclass(cls=None, /, *, frozen=False, eq=True, repr=True, slots=False, unsafe_hash=False):
        """Makes a class of its annotations, as `dataclasses.dataclass` does."""
        if cls is None:
            return lambda cls: _make(cls, frozen, eq, repr, slots, unsafe_hash)
        return _make(cls, frozen, eq, repr, slots, unsafe_hash)

    class _Described:
        """The fields as `dataclasses` describes them, for users of its functions."""

        def __get__(self, instance, cls):
            import dataclasses

            made = []
            for name, each in getattr(cls, _FIELDS).items():
                options = {"compare": each.compare, "repr": each.repr, "kw_only": each.kw_only}
                if each.default_factory is not None:
                    options["default_factory"] = each.default_factory
                elif each.default is not _MISSING:
                    options["default"] = each.default
                made.append((name, each.type, dataclasses.field(**options)))
            return dataclasses.make_dataclass(cls.__name__, made).__dataclass_fields__

    def replace(instance, /, **changes):
        """Another instance, with some fields changed."""
        return type(instance)(**{name: getattr(instance, name) for name in _fields(instance)} | changes)

    def asdict(instance):
        """The fields by name, those of fields too."""
        return {name: _plain(getattr(instance, name)) for name in _fields(instance)}

    def _plain(value):
        if hasattr(type(value), _FIELDS):
            return asdict(value)
        if isinstance(value, (list, tuple)):
            made = [_plain(each) for each in value]
            return type(value)(*made) if hasattr(value, "_fields") else type(value)(made)
        return {key: _plain(each) for key, each in value.items()} if isinstance(value, dict) else value

    def _fields(instance):
        return getattr(type(instance), _FIELDS)

    def _make(cls, frozen, eq, repr, slots, unsafe_hash):
        fields = _collected(cls)
        by_place = tuple([name for name, each in fields.items() if not each.kw_only])
        made = {_FIELDS: fields, "__match_args__": by_place, "__dataclass_fields__": _Described()}
        if repr and "__repr__" not in cls.__dict__:
            made["__repr__"] = _repr(fields)
        if eq:
            key = _key([name for name, each in fields.items() if each.compare])
            if "__eq__" not in cls.__dict__:
                made["__eq__"] = _eq(key)
            if cls.__dict__.get("__hash__") is None:
                made["__hash__"] = (lambda self: hash(key(self))) if frozen or unsafe_hash else None
        if frozen:
            made |= {"__setattr__": _refuse_to_set, "__delattr__": _refuse_to_delete}
        if slots:
            cls = _with_slots(cls, fields, frozen)
        for name, value in made.items():
            setattr(cls, name, value)
        if "__init__" not in cls.__dict__:
            cls.__init__ = _Init(cls, fields, frozen)
        return cls

    def _collected(cls):
        """The fields of a class, those of its bases first; the class itself keeps their defaults only."""
        fields = {}
        for base in reversed(cls.__mro__[1:]):
            fields |= base.__dict__.get(_FIELDS, {})
        for name, annotation in cls.__annotations__.items():  # its own
            if any(word in str(annotation) for word in ("ClassVar", "InitVar", "KW_ONLY")):
                raise TypeError(f"{cls.__qualname__}.{name}: {annotation} takes a dataclass of Python's")
            default = getattr(cls, name, _MISSING)
            if isinstance(default, MemberDescriptorType):  # the slot of a base
                default = _MISSING
            fields[name] = made = default if isinstance(default, field) else field(default=default)
            made.type = annotation
            if made.default is not _MISSING:
                if type(made.default).__hash__ is None:
                    raise ValueError(f"{cls.__qualname__}.{name}: all instances would share a default that can change")
                setattr(cls, name, made.default)
            elif name in cls.__dict__:
                delattr(cls, name)
        needed = [each.needed for each in fields.values() if not each.kw_only]
        if needed != sorted(needed, reverse=True):
            raise TypeError(f"{cls.__qualname__} has a field without a default after one with a default")
        return fields

    def _with_slots(cls, fields, frozen):
        """The same class with slots, which can only be had when a class is made."""
        inherited = {name for base in cls.__mro__[1:-1] for name in base.__dict__.get("__slots__", ())}
        body = {k: v for k, v in cls.__dict__.items() if k not in fields and k not in ("__dict__", "__weakref__")}
        body["__slots__"] = tuple(name for name in fields if name not in inherited)
        if frozen:
            body["__setstate__"] = _set_state
        again = type(cls)(cls.__name__, cls.__bases__, body)
        again.__qualname__ = cls.__qualname__
        return again

    class _Init:
        """An `__init__` that is compiled when it is first asked for, and then stands in its place."""

        def __init__(self, owner, fields, frozen):
            self._owner, self._fields, self._frozen = owner, fields, frozen

        def __get__(self, instance, cls=None):
            self._owner.__init__ = made = _compiled_init(self._owner, self._fields, self._frozen)
            return made.__get__(instance, cls)

    def _compiled_init(cls, fields, frozen):
        names = {"_missing": _MISSING, "_set": object.__setattr__}
        parameters, lines = ["self"], []
        for name, each in sorted(fields.items(), key=lambda item: item[1].kw_only):
            if each.kw_only and "*" not in parameters:
                parameters.append("*")
            value = name
            if each.default_factory is not None:
                names[f"_make_{name}"] = each.default_factory
                parameters.append(f"{name}=_missing")
                value = f"_make_{name}() if {name} is _missing else {name}"
            elif each.default is not _MISSING:
                names[f"_default_{name}"] = each.default
                parameters.append(f"{name}=_default_{name}")
            else:
                parameters.append(name)
            lines.append(f" _set(self, {name!r}, {value})" if frozen else f" self.{name} = {value}")
        if hasattr(cls, "__post_init__"):
            lines.append(" self.__post_init__()")
        made = {}
        exec(f"def __init__({', '.join(parameters)}):\n" + "\n".join(lines or [" pass"]), names, made)
        made["__init__"].__qualname__ = f"{cls.__qualname__}.__init__"
        made["__init__"].__annotations__ = {name: each.type for name, each in fields.items()} | {"return": None}
        return made["__init__"]

    def _key(names):
        return attrgetter(*names) if names else lambda self: ()

    def _eq(key):
        def __eq__(self, other):
            return key(self) == key(other) if other.__class__ is self.__class__ else NotImplemented

        return __eq__

    def _repr(fields):
        shown = [name for name, each in fields.items() if each.repr]

        def __repr__(self):
            return f"{type(self).__qualname__}({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"

        return __repr__

    def _refuse_to_set(self, name, value):
        raise AttributeError(f"cannot assign to field {name!r}")

    def _refuse_to_delete(self, name):
        raise AttributeError(f"cannot delete field {name!r}")

    class _Naming(type):
        """Makes a tuple with names of a class that says it is one."""

        def __new__(meta, name, bases, body):
            if not bases:
                return super().__new__(meta, name, bases, body)
            fields = tuple(body.get("__annotations__", ()))
            defaults = {field: body.pop(field) for field in fields if field in body}
            if tuple(defaults) != fields[len(fields) - len(defaults) :]:
                raise TypeError(f"{name} has a field without a default after one with a default")
            body = {"__repr__": _repr_fields} | body  # the only one of these that a class may have of its own
            body |= {field: _tuplegetter(place, None) for place, field in enumerate(fields)}
            body |= {"__slots__": (), "_fields": fields, "_field_defaults": defaults, "__match_args__": fields}
            body |= {"__new__": _compile_new, "__getnewargs__": _as_tuple}
            body |= {
                "_make": _made_of,
                "_replace": _replaced,
                "_asdict": lambda self: dict(zip(fields, self, strict=True)),
            }
            return type(name, (tuple,), body)

    class NamedTuple(metaclass=_Naming):
        """The base of named tuples, which are tuples alone: no class made has it as a base."""

    def _compile_new(cls, *values, **named):
        """The `__new__` of a class until it is first called: compiles the one that then stands in its place."""
        owner = next(base for base in cls.__mro__ if "_fields" in base.__dict__)
        names = {f"_default_{name}": value for name, value in owner._field_defaults.items()} | {"_new": tuple.__new__}
        parameters = [f"{name}=_default_{name}" if f"_default_{name}" in names else name for name in owner._fields]
        listed = "".join([f"{name}, " for name in owner._fields])
        exec(f"def __new__({', '.join(['_cls', *parameters])}):\n return _new(_cls, ({listed}))", names)
        owner.__new__ = staticmethod(names["__new__"])
        return owner.__new__(cls, *values, **named)

    def _repr_fields(self):
        shown = [f"{name}={value!r}" for name, value in zip(self._fields, self, strict=True)]
        return f"{type(self).__name__}({', '.join(shown)})"

    def _as_tuple(self):
        return tuple(self)

    @classmethod
    def _made_of(cls, values):
        return cls(*values)

    def _replaced(self, /, **changes):
        made = [changes.pop(name, value) for name, value in zip(self._fields, self, strict=True)]
        if changes:
            raise ValueError(f"{type(self).__name__} has no fields {', '.join(changes)}")
        return tuple.__new__(type(self), made)

    def _set_state(self, state):
        """`object.__getstate__` gives what is in `__dict__`, if there is one, and in slots."""
        for part in state:
            for name, value in (part or {}).items():
                object.__setattr__(self, name, value)


def annotations_of(cls: object) -> Mapping[str, object] | None:
    """The fields of a dataclass, ours or Python's, and how they are annotated; None for anything else."""
    fields: Mapping[str, Any] | None = getattr(cls, _FIELDS, None) or getattr(cls, "__dataclass_fields__", None)
    return {name: each.type for name, each in fields.items()} if isinstance(cls, type) and fields else None


__all__ = ["NamedTuple", "annotations_of", "asdict", "dataclass", "field", "replace"]
