"""Rewrites: other, cheaper ways to the values of formulas.

A rule proposes for a formula a *way*: a formula over others below it that has the same value in every voxel, with NaN,
infinities and degenerate masks too. Ids are untouched: a way is only how a task is made. Rules know operators and no
programs. Each has a name and a version, which stand in the provenance of what it made, and a proof in its docstring;
tests/test_rewrites.py compares them all with the plain evaluation on random programs.

Which proposals are followed is decided for all goals together, since a way saves nothing that somebody else needs, and
what many could do without may be cheaper to have once. That depends on formulas and goals alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from functools import cache
from typing import TypeAlias

from voxlogica._dataclass import NamedTuple
from voxlogica.formula import IMAGE, Formula, Formulas, Operator
from voxlogica.identity import Id
from voxlogica.operators import operators
from voxlogica.operators.records import field
from voxlogica.plan import fused


class Way(NamedTuple):
    """`how` has the value of a formula, and is computed without those of `without`. `effort` multiplies its cost."""

    how: Formula
    without: tuple[Formula, ...]
    effort: float = 1.0


class Rule(NamedTuple):
    """A rewrite: the ways it proposes to a formula whose operator is one of `heads`."""

    name: str
    version: int
    heads: Callable[[], Set[Operator]]
    ways: Callable[[Formula, Seen], Iterator[Way]]

    @property
    def proof(self) -> str:
        """Why ways have the values they are proposed for."""
        return self.ways.__doc__ or ""

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


class Chosen(NamedTuple):
    """The way that is followed to a formula."""

    rule: Rule
    way: Way


Seconds: TypeAlias = Callable[[Formula], float]

LESS, EQUAL, GREATER, UNORDERED = 1, 2, 4, 8
_ALL = LESS | EQUAL | GREATER | UNORDERED
_PLAIN = {LESS: "<", LESS | EQUAL: "<=", EQUAL: "==", EQUAL | GREATER: ">=", GREATER: ">"}
_RELATIONS = _PLAIN | {_ALL - among: f"not {name}" for among, name in _PLAIN.items()}
_LONGEST = 16  # formulas that a comparison may be made of: bounds the work on long chains


class Comparison(NamedTuple):
    """A mask that says of each voxel of `image` whether it is in one of the relations `among` to the number `k`.

    Every two floats are in exactly one of the four relations, so and, or and not of comparisons of the same two are
    intersection, union and complement of these sets. `parts` are the formulas it is made of, itself included.
    """

    image: Formula
    k: Formula
    among: int
    parts: tuple[Formula, ...]


class Seen:
    """What is known of all formulas, looked at arguments first; and where ways are made."""

    def __init__(self) -> None:
        self.table = Formulas()
        self.comparisons: dict[Id, Comparison] = {}
        self.aggregates: defaultdict[tuple[Id, ...], set[Operator]] = defaultdict(set)
        self._relations = _relations()

    def look(self, formula: Formula) -> None:
        """Sees whether a formula is a comparison, or an aggregate of the same as others."""
        operator, arguments = formula.operator, formula.arguments
        if operator is not None and operator in _aggregates():
            self.aggregates[tuple([a.id for a in arguments])].add(operator)
        if operator in self._relations:
            k, image = arguments
            self.comparisons[formula.id] = Comparison(image, k, self._relations[operator], (formula,))
        elif operator is operators()["not"]:
            known = self.comparisons.get(arguments[0].id)
            if known is not None:
                self._add(formula, known, known, _ALL - known.among)
        elif operator is operators()["and"] or operator is operators()["or"]:
            a, b = (self.comparisons.get(argument.id) for argument in arguments)
            if a is not None and b is not None and a.image.id == b.image.id and a.k.id == b.k.id:
                self._add(formula, a, b, a.among & b.among if operator is operators()["and"] else a.among | b.among)

    def _add(self, formula: Formula, a: Comparison, b: Comparison, among: int) -> None:
        parts = tuple(dict.fromkeys((*a.parts, *b.parts, formula)))
        if len(parts) <= _LONGEST:
            self.comparisons[formula.id] = Comparison(a.image, a.k, among, parts)

    def comparison(self, formula: Formula) -> tuple[Comparison, tuple[Formula, Formula], tuple[Formula, ...]] | None:
        """A formula as a comparison that kernels have, with the arguments that say which, and what it is made of."""
        known = self.comparisons.get(formula.id)
        relation = _RELATIONS.get(known.among) if known is not None else None
        if known is None or relation is None:
            return None
        return known, (self.table.constant(relation), known.k), known.parts[:-1]


@cache
def _relations() -> Mapping[Operator | None, int]:
    primitives = {"equal": EQUAL, "at_least_constant": EQUAL | GREATER, "at_most_constant": LESS | EQUAL}
    return {operators()[name]: among for name, among in primitives.items()}


# The rules


def _boolean() -> Set[Operator]:
    return {operators()[name] for name in ("and", "or", "not")}


def _masks() -> Set[Operator]:
    return _boolean() | {operator for operator in _relations() if operator is not None}


def comparison(formula: Formula, seen: Seen) -> Iterator[Way]:
    """`n .< i`, which is and(n .<= i, not(n .= i)), and its like: one pass from the image to the bits.

    A voxel and a number, both float32, are in exactly one of four relations: less, equal, greater, or none (a NaN). The
    primitive comparisons are sets of these, and the boolean operators act on sets; what is left is looked up.
    """
    found = seen.comparison(formula)
    if found is not None and found[2]:
        known, constants, inner = found
        yield Way(seen.table.apply(fused.COMPARE, (known.image, *constants)), inner)


def distance(formula: Formula, seen: Seen) -> Iterator[Way]:
    """`dt(a) <. r` and its like, and the same of `pdt(a)`, mask(dt(a), dt(a) >. 0): dilation by a ball, no distance.

    The distance of a voxel outside a is the least length of the offsets to voxels of a, so it is at most t iff an
    offset of length at most t leads into a: iff the voxel is in a dilated by the ball of t. Lengths are computed and
    rounded as distances are (C23), so this holds at equality. Inside a the same is said of the contour with the sign
    changed. The other relations are differences and complements of "at most"; a distance is never NaN. `pdt` has the
    distance where that is positive and 0 elsewhere: the distance with negative ones taken as 0.
    """
    found = seen.comparison(formula)
    if found is None:
        return
    known, constants, inner = found
    image, operator, without = known.image, fused.COMPARE_DISTANCE, (*inner, known.image)
    if image.operator is operators()["mask"]:
        image, where = image.arguments
        positive = seen.comparisons.get(where.id)
        if positive is None or positive.image.id != image.id or positive.among != GREATER or positive.k.value != 0:
            return
        operator, without = fused.COMPARE_OUTER_DISTANCE, tuple(dict.fromkeys((*without, *positive.parts, image)))
    if image.operator is operators()["dt"]:
        how = seen.table.apply(operator, (image.arguments[0], *constants))
        yield Way(how, without, _ball_effort(image, known.k))


def masked(formula: Formula, seen: Seen) -> Iterator[Way]:
    """`mask(i, b) >. n` and its like: the comparison of i, corrected outside b by that of 0; no masked image.

    By definition mask(i, b) is i in b and 0 elsewhere.
    """
    found = seen.comparison(formula)
    if found is not None and found[0].image.operator is operators()["mask"]:
        known, constants, inner = found
        how = seen.table.apply(fused.COMPARE_MASKED, (*known.image.arguments, *constants))
        yield Way(how, (*inner, known.image))


def difference(formula: Formula, seen: Seen) -> Iterator[Way]:
    """`a \\ b`, which is and(a, not(b)), in one pass. Past the row's end a has zeros, and so has the result."""
    a, b = formula.arguments
    for kept, dropped in ((a, b), (b, a)):
        if dropped.operator is operators()["not"]:
            yield Way(seen.table.apply(fused.DIFFERENCE, (kept, dropped.arguments[0])), (dropped,))


def windows(formula: Formula, seen: Seen) -> Iterator[Way]:
    """`crossCorrelation(rho, a, b, phi, low, high, k)` by way of the windows of a, which know nothing of b and phi.

    The correlation is a function of four sums: over the bins, of the squares of the local histogram h, of h, and of
    h*H, where H is the histogram of b over phi; and of H itself. The first does not depend on b and phi: it is computed
    once for all correlations that differ in these only. The others are sums over the voxels of a window, of 1 and of H
    at their bins, which are noted beside the squares. All are exact integers, so the result is the same.

    Windows are held for a box: outside it each window has one bin only, that of the box's first voxel. So the sums
    there follow from the size of the window, and are what adding would give.
    """
    rho, a, b, phi, low, high, bins = formula.arguments
    if not _narrow(a, rho.value, bins.value):
        return
    shared = seen.table.apply(operators()["windows"], (rho, a, low, high, bins))
    if a.id == b.id:
        yield Way(seen.table.apply(fused.CORRELATE, (shared, phi, rho, low, high, bins)), ())
    else:
        yield Way(seen.table.apply(fused.CORRELATE_OTHER, (shared, b, phi, rho, low, high, bins)), ())


def scores(formula: Formula, seen: Seen) -> Iterator[Way]:
    """`crossCorrelation(…) >. k` and its like, for windows as above, row by row; no image of correlations.

    A row is computed as it is for the image, and compared before the next: the same numbers meet the same k.
    """
    found = seen.comparison(formula)
    if found is not None and found[0].image.operator is operators()["crosscorrelation"]:
        known, constants, inner = found
        for way in windows(known.image, seen):
            same = way.how.operator is fused.CORRELATE
            operator = fused.COMPARE_CORRELATION if same else fused.COMPARE_CORRELATION_OTHER
            yield Way(seen.table.apply(operator, (*way.how.arguments, *constants)), (*inner, known.image))


def _narrow(a: Formula, rho: object, bins: object) -> bool:
    """Whether windows are known to be in the limits of `kernels.fields.windows`: fewer than 4096 voxels, 255 bins."""
    space = a.space
    if space is None or not isinstance(rho, float) or not isinstance(bins, float):
        return False
    if not (0 <= rho <= 1e9 and 1 <= bins < 256):
        return False
    voxels = 1
    for size, extent in zip(space.spacing3, reversed(space.shape), strict=True):
        voxels *= 2 * min(max(1, round(min(rho / size, 2.0**53))), extent - 1) + 1
    return voxels < 4096


@cache
def _aggregates() -> Set[Operator]:
    return {operators()[name] for name in ("min", "max", "minwithin", "maxwithin", "avg", "avg0")}


def aggregates(formula: Formula, seen: Seen) -> Iterator[Way]:
    """Several of min(i) and max(i), or of minwithin, maxwithin, avg and avg0 of the same i and b: one pass for all.

    The pass keeps for each what the operator alone keeps, and meets the voxels in the same order: it compares, which no
    order changes, and adds to the same sums. Whether the mask is empty, which is an error for some and not for all, is
    said when one of the numbers is asked for.
    """
    operator, arguments = formula.operator, formula.arguments
    if len(seen.aggregates[tuple([a.id for a in arguments])]) < 2:
        return
    assert operator is not None
    if len(arguments) == 1:
        shared = seen.table.apply(operators()["extremes"], arguments)
        yield Way(seen.table.apply(field(shared.type, operator.name), (shared, seen.table.constant(operator.name))), ())
    else:
        shared = seen.table.apply(operators()["summary"], arguments)
        yield Way(seen.table.apply(fused.of_summary(), (shared, seen.table.constant(operator.name))), ())


@cache
def _arithmetic() -> Set[Operator]:
    """The operators that make each voxel of an image of those at the same place."""
    names = (
        "add", "subtract", "multiply", "divide", "add_constant", "subtract_constant", "multiply_constant",
        "divide_constant", "subtract_from", "divide_into", "abs", "mask", "larger", "smaller",
    )  # fmt: skip
    return {operators()[name] for name in names}


def slabs(formula: Formula, seen: Seen) -> Iterator[Way]:
    """A chain of arithmetic, and the comparison that ends it, slab by slab; no image of a step.

    An operator that sees one voxel at a time, applied to part of the images, gives that part of its result; so do
    several, one after the other. They are the operators themselves, in their order, on whole rows: the same roundings.
    """
    chain = _Chain()
    found = seen.comparison(formula)
    if found is not None:
        known, constants, parts = found
        chain.without += parts
        chain.add(known.image)
        for constant in constants:
            chain.push(constant)
        chain.apply(fused.COMPARE)
    elif formula.operator in _arithmetic():
        chain.expand(formula)
    if not chain.inlined:
        return
    arguments = (seen.table.constant(" ".join(chain.words)), *chain.inputs)
    operator = fused.chain(tuple([each.type for each in chain.inputs]), formula.type)
    # Each step is a little quicker in the cache; an image that results is copied once more.
    effort = 0.8 * chain.applied + (0.7 if formula.type is IMAGE else 0.1)
    yield Way(seen.table.apply(operator, arguments), tuple(dict.fromkeys(chain.without)), effort)


class _Chain:
    """A program of `fused.voxelwise` while it is written."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.inputs: list[Formula] = []
        self.without: list[Formula] = []
        self.inlined = self.applied = 0

    def push(self, formula: Formula) -> None:
        """A value that is given."""
        if formula not in self.inputs:
            self.inputs.append(formula)
        self.words.append(str(self.inputs.index(formula)))

    def apply(self, operator: Operator) -> None:
        """An operator on what came last."""
        self.words.append(operator.name)
        self.applied += 1

    def add(self, formula: Formula) -> None:
        """A value: by its own operator if that is arithmetic, unless there are many already."""
        if formula.operator in _arithmetic() and self.inlined < _LONGEST:
            self.inlined += 1
            self.without.append(formula)
            self.expand(formula)
        else:
            self.push(formula)

    def expand(self, formula: Formula) -> None:
        """An operator and its arguments."""
        assert formula.operator is not None
        for argument in formula.arguments:
            self.add(argument)
        self.apply(formula.operator)


RULES = (
    Rule("comparison", 1, _boolean, comparison),
    Rule("distance", 1, _masks, distance),
    Rule("masked", 1, _masks, masked),
    Rule("difference", 1, lambda: {operators()["and"]}, difference),
    Rule("windows", 1, lambda: {operators()["crosscorrelation"]}, windows),
    Rule("scores", 1, _masks, scores),
    Rule("aggregates", 1, _aggregates, aggregates),
    Rule("slabs", 1, lambda: _masks() | _arithmetic(), slabs),
)


@cache
def _by_head() -> Mapping[Operator | None, tuple[Rule, ...]]:
    heads = {operator for rule in RULES for operator in rule.heads()}
    return {operator: tuple(rule for rule in RULES if operator in rule.heads()) for operator in heads}


def _ball_effort(distance: Formula, k: Formula) -> float:
    """How many segments a quarter of the ball has, to which the kernel's time is proportional."""
    space = distance.space
    assert space is not None
    if not isinstance(k.value, float):
        return 100.0  # known only when it has been computed
    (z, y, _), (_, sy, sz) = space.shape, space.spacing3
    radius = abs(k.value)
    return max(1.0, min(radius / sy + 1, y) * min(radius / sz + 1, z)) if radius == radius else 1.0


# The choice


def rewrite(order: Sequence[Formula], goals: Iterable[Id], seconds: Seconds) -> Mapping[Id, Chosen]:
    """The ways to follow for goals that need the formulas of `order`, which has arguments before what uses them.

    `seconds` is what a formula alone takes. First each takes the way that saves most if nobody else needs what it does
    without. Then what is needed all the same is free, and what would be cheaper to have once than to do without is had;
    and each chooses again.
    """
    proposed = _proposed(order)
    if not proposed:
        return {}
    formulas = {formula.id: formula for formula in order}
    for ways in proposed.values():
        for chosen in ways:
            formulas.update((part.id, part) for part in chosen.way.without)
    own = cache(lambda id: seconds(formulas[id]))

    def needs(how: Formula, parts: Set[Id]) -> float:
        """What it takes to have those of the parts that this way needs, directly or for others of them."""
        found: set[Id] = set()
        stack = [how]
        while stack:
            for argument in stack.pop().arguments:
                if argument.id in parts and argument.id not in found:
                    found.add(argument.id)
                    stack.append(argument)
        return sum(map(own, found))

    def best(id: Id, free: Set[Id], also: Id | None = None) -> tuple[float, Chosen | None]:
        """The cheapest way, each paying for what others do without, it does not, and is not free; `also` is."""
        ways = proposed[id]
        parts = {part.id for chosen in ways for part in chosen.way.without} - free - {also}
        least, cheapest = own(id) + needs(formulas[id], parts), None
        for chosen in ways:
            way = chosen.way
            cost = way.effort * seconds(way.how) + needs(way.how, parts)
            if cost < least:
                least, cheapest = cost, chosen
        return least, cheapest

    def choose(free: Set[Id]) -> dict[Id, Chosen]:
        return {id: chosen for id in proposed if (chosen := best(id, free)[1]) is not None}

    goals = set(goals)
    first = choose(frozenset())
    needed = _needed(order, goals, first)
    gains: defaultdict[Id, float] = defaultdict(float)
    for id in first:
        if id in needed:
            alone, _ = best(id, needed)
            for part in {part.id for part in first[id].way.without} - needed:
                gains[part] += alone - best(id, needed, part)[0]
    prices = {part: best(part, needed)[0] if part in proposed else own(part) for part in gains}
    return choose(needed | {part for part, gain in gains.items() if gain > prices[part]})


def _proposed(order: Sequence[Formula]) -> dict[Id, list[Chosen]]:
    """Every way that some rule proposes, by formula."""
    seen, by_head, proposed = Seen(), _by_head(), {}
    headed = [formula for formula in order if formula.operator in by_head]
    for formula in headed:
        seen.look(formula)
    for formula in headed:
        rules = by_head[formula.operator]
        ways = [Chosen(rule, way) for rule in rules for way in rule.ways(formula, seen)]
        if ways:
            proposed[formula.id] = ways
    return proposed


def _needed(order: Sequence[Formula], goals: Set[Id], chosen: Mapping[Id, Chosen]) -> Set[Id]:
    """What the goals need when these ways are followed."""
    needed = set(goals)
    for formula in reversed(order):
        if formula.id in needed:
            followed = chosen.get(formula.id)
            needed.update(a.id for a in (followed.way.how if followed else formula).arguments)
    return needed
