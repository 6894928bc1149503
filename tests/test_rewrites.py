"""Rewrites: ways have the values of the formulas they are proposed for, and what several need is made once."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from voxlogica.errors import Refusal
from voxlogica.formula import IMAGE, MASK, Formula, Formulas, Operator
from voxlogica.identity import Id
from voxlogica.operators import operators
from voxlogica.plan import COSTS, fused, plan, space_of
from voxlogica.plan.rules import RULES, rewrite
from voxlogica.storage.codec import decode, encode
from voxlogica.values import Image, Mask, Narrow, Space, Value

OPERATORS = operators()
NUMBERS = (0.0, 1.0, -1.0, 0.5, 2.0, math.sqrt(2.0), 3.0, 1e-45, -1e-45, 1.8446743e19, math.inf, -math.inf, math.nan)
RADII = (0.0, 0.5, 1.0, math.sqrt(2.0), 2.0, 2.5, 3.0, -1.0, -math.sqrt(2.0), math.nan, math.inf, 1e30)
ARITHMETIC = ("add_constant", "subtract_constant", "multiply_constant", "divide_constant")
SPACINGS = (1.0, 0.5, 0.3, 2.0)

Given = Mapping[Id, Value]


class Programs:
    """Formulas made at random from few operators, so that they meet often in the shapes that rules look for."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.table = Formulas()
        size = tuple(int(n) for n in self.rng.integers(1, (70, 6, 4)))
        if self.rng.random() < 0.5:  # slabs are multiples of 64 voxels: so that there are several
            size = (-(-size[0] // 8) * 8, *size[1:])
        spacing = tuple(float(s) for s in self.rng.choice(SPACINGS, 3))
        self.space = Space.grid(*size, spacing=spacing) if self.rng.random() < 0.7 else Space.grid(*size[:2])
        self.given: dict[Id, Value] = {}
        self.images = [self._image() for _ in range(2)]
        self.masks = [self._mask() for _ in range(2)]
        self.numbers = [self.table.constant(float(k)) for k in self.rng.choice(NUMBERS, 4)]
        self.numbers += [self.table.constant(float(k)) for k in self.rng.choice(RADII, 4)]
        self.aggregates: list[Formula] = []
        for _ in range(int(self.rng.integers(3, 14))):
            self._grow()

    def _leaf(self, kind: str, value: Value) -> Formula:
        result = MASK if kind == "mask" else IMAGE
        number = len(self.given)
        formula = self.table.apply(Operator(f"{kind}{number}", "", 1, (), result, lambda: value, ""), (), self.space)
        self.given[formula.id] = value
        return formula

    def _image(self) -> Formula:
        if self.rng.random() < 0.3:  # as files of integers are read
            integers = self.rng.integers(-3, 9, self.space.voxels, np.int8)
            return self._leaf("image", Image(self.space, Narrow(memoryview(integers.tobytes()), "i1")))
        values = self.rng.choice(np.array(NUMBERS, np.float32), self.space.shape)
        if self.rng.random() < 0.5:  # something small before a background
            among = np.ogrid[tuple(map(slice, self.space.shape))]
            near = [abs(axis - int(self.rng.integers(n))) < 3 for axis, n in zip(among, self.space.shape, strict=True)]
            values = np.where(near[0] & near[1] & near[2], values, values.flat[0])
        return self._leaf("image", Image.of(self.space, values))

    def _mask(self) -> Formula:
        from voxlogica.kernels import masks

        density = self.rng.choice([0.0, 0.02, 0.3, 0.98, 1.0])
        return self._leaf("mask", Mask.of(self.space, masks.pack(self.rng.random(self.space.shape) < density)))

    def apply(self, name: str, *arguments: Formula) -> Formula:
        return self.table.apply(OPERATORS[name], arguments)

    def _grow(self) -> None:
        def pick(among: Sequence[Formula]) -> Formula:
            return among[int(self.rng.integers(len(among)))]

        image, mask, other, k = pick(self.images), pick(self.masks), pick(self.masks), pick(self.numbers)
        apply = self.apply
        match int(self.rng.integers(15)):
            case 13:
                names = self.rng.choice(["minwithin", "maxwithin", "avg", "avg0"], 3)
                self.aggregates += [apply(str(name), image, mask) for name in names]
            case 14:
                self.aggregates += [apply("min", image), apply("max", image)]
            case 10:
                number = self.table.constant
                rho, bins = float(self.rng.choice([0.0, 0.5, 1.0, 2.0, 1e9])), float(self.rng.choice([1, 2.5, 7, 256]))
                low, high = (number(float(v)) for v in self.rng.choice(NUMBERS, 2))
                other_image = pick(self.images)
                self.images.append(
                    apply("crosscorrelation", number(rho), image, other_image, mask, low, high, number(bins))
                )
            case 0:
                self.images.append(apply("dt", mask))
            case 1:
                distance = apply("dt", mask)
                zero = self.table.constant(0.0)
                above = apply(
                    "and", apply("at_least_constant", zero, distance), apply("not", apply("equal", zero, distance))
                )
                self.images.append(apply("mask", distance, above))
            case 2:
                self.images.append(apply("mask", image, mask))
            case 3:
                self.images.append(apply(str(self.rng.choice(ARITHMETIC)), image, k))
            case 11:
                self.images.append(apply(str(self.rng.choice(["subtract_from", "divide_into"])), k, image))
            case 12:
                other_image = pick(self.images)
                name = str(self.rng.choice(["add", "subtract", "multiply", "divide", "larger", "smaller"]))
                self.images.append(apply(name, image, other_image))
            case 4 | 5:
                name = str(self.rng.choice(["equal", "at_least_constant", "at_most_constant"]))
                self.masks.append(apply(name, k, image))
            case 6:
                weak = apply(str(self.rng.choice(["at_least_constant", "at_most_constant"])), k, image)
                self.masks.append(apply("and", weak, apply("not", apply("equal", k, image))))
            case 7:
                self.masks.append(apply("not", mask))
            case _:
                self.masks.append(apply(str(self.rng.choice(["and", "or"])), mask, other))

    def goals(self) -> list[Formula]:
        count = int(self.rng.integers(1, 4))
        return [*self.masks[-count:], *(self.images[-1:] if self.rng.random() < 0.3 else []), *self.aggregates]


def evaluate(formula: Formula, values: dict[Id, Value]) -> Value:
    """The value of a formula whose arguments have theirs."""
    if formula.id in values:
        return values[formula.id]
    operator = formula.operator
    assert operator is not None
    arguments = [a.value if a.operator is None else values[a.id] for a in formula.arguments]
    if operator.needs_space:
        arguments.insert(0, space_of(formula))  # type: ignore[arg-type]
    try:
        return operator.body(*arguments)
    except Refusal as refusal:
        return str(refusal)


def plain(formula: Formula, values: dict[Id, Value]) -> Value:
    """The value by the operators themselves, recursively."""
    for argument in formula.arguments:
        if argument.operator is not None and argument.id not in values:
            values[argument.id] = plain(argument, values)
    return evaluate(formula, values)


def same(a: Value, b: Value) -> bool:
    if not isinstance(a, (Image, Mask)):
        return repr(a) == repr(b)
    assert isinstance(b, (Image, Mask))
    return bytes(a.data) == bytes(b.data)


@pytest.fixture(autouse=True)
def small_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that small images have several."""
    monkeypatch.setattr(fused, "SLAB", 100)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32))
def test_planned_programs_have_the_values_of_the_plain_evaluation(seed: int) -> None:
    programs = Programs(seed)
    goals = programs.goals()
    expected: dict[Id, Value] = dict(programs.given)
    for goal in goals:
        expected[goal.id] = plain(goal, expected)
    values: dict[Id, Value] = {}
    for task in plan(goals).tasks:
        values[task.id] = evaluate(task.how, values)
        if task.id in expected:
            assert same(values[task.id], expected[task.id]), (task.formula, task.rule)
    assert {goal.id for goal in goals} <= values.keys()


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32))
def test_every_way_that_is_proposed_has_the_value_it_stands_for(seed: int) -> None:
    """Followed or not: of each rule all that it proposes."""
    from voxlogica.plan import rules

    programs = Programs(seed)
    order = [task.formula for task in plan(programs.masks).tasks]
    values: dict[Id, Value] = dict(programs.given)
    everything = [*programs.images, *programs.masks, *programs.aggregates]
    for formula in everything:
        values[formula.id] = plain(formula, values)
    proposed = rules._proposed(everything)
    assert order
    for formula in everything:
        for chosen in proposed.get(formula.id, []):
            assert same(plain(chosen.way.how, values), values[formula.id]), (formula, chosen.rule.name)


@pytest.mark.parametrize("x", [7, 8, 40, 64, 72])
def test_slabs_keep_the_signs_of_nans(x: int) -> None:
    """NumPy's product of two NaNs is one or the other, as the voxel is in its loop's vectors or in what they leave."""
    programs = Programs(0)
    programs.space = Space.grid(x, 6, 5)
    rng = np.random.default_rng(x)
    a, b = (
        programs._leaf(
            "image", Image.of(programs.space, rng.choice(np.array([math.nan, -math.nan], np.float32), (5, 6, x)))
        )
        for _ in range(2)
    )
    from voxlogica.plan import rules

    step = programs.apply("subtract", a, b)
    goal = programs.apply("multiply", step, b)
    (chosen,) = rules._proposed([step, goal])[goal.id]
    assert chosen.rule.name == "slabs"
    assert same(plain(chosen.way.how, dict(programs.given)), plain(goal, dict(programs.given)))


def test_random_programs_meet_every_rule() -> None:
    """Else the two tests above say less than they seem to."""
    from voxlogica.plan import rules

    met = {
        chosen.rule.name
        for seed in range(200)
        for programs in [Programs(seed)]
        for ways in rules._proposed([*programs.images, *programs.masks, *programs.aggregates]).values()
        for chosen in ways
    }
    assert met == {rule.name for rule in RULES}


# What is chosen

SPACE = Space.grid(200, 200, 100)


class Shapes:
    """The shapes of the library, on a space as large as real ones."""

    def __init__(self) -> None:
        self.table = Formulas()
        self.a = self.table.apply(Operator("a", "a", 1, (), MASK, lambda: 0.0, "", cost="bits"), (), SPACE)

    def apply(self, name: str, *arguments: Formula | float) -> Formula:
        held = tuple(self.table.constant(a) if isinstance(a, float) else a for a in arguments)
        return self.table.apply(OPERATORS[name], held)

    def below(self, image: Formula, k: float) -> Formula:
        """`image <. k`"""
        return self.apply(
            "and", self.apply("at_most_constant", k, image), self.apply("not", self.apply("equal", k, image))
        )

    def above(self, image: Formula, k: float) -> Formula:
        """`image >. k`"""
        return self.apply(
            "and", self.apply("at_least_constant", k, image), self.apply("not", self.apply("equal", k, image))
        )

    def pdt(self, a: Formula) -> Formula:
        distance = self.apply("dt", a)
        return self.apply("mask", distance, self.above(distance, 0.0))


def made(*goals: Formula) -> list[str]:
    """The tasks as the operators that are run."""
    return [task.how.operator.name for task in plan(goals).tasks if task.how.operator]


def test_a_compared_distance_is_not_computed() -> None:
    on = Shapes()
    assert made(on.below(on.apply("dt", on.a), 5.0)) == ["a", "compare_distance"]
    assert made(on.apply("at_least_constant", 5.0, on.apply("dt", on.a))) == ["a", "compare_distance"]
    assert made(on.apply("at_most_constant", 5.0, on.pdt(on.a))) == ["a", "compare_outer_distance"]
    smoothened = on.apply(
        "at_most_constant", 2.0, on.pdt(on.apply("at_least_constant", 2.0, on.pdt(on.apply("not", on.a))))
    )
    assert made(smoothened) == ["a", "not", "compare_outer_distance", "compare_outer_distance"]


def test_a_distance_that_is_needed_anyway_is_computed_once_and_compared() -> None:
    on = Shapes()
    distance = on.apply("dt", on.a)
    assert made(on.below(distance, 5.0), on.apply("add_constant", distance, 1.0)) == [
        "a", "dt", "compare", "add_constant",
    ]  # fmt: skip
    assert made(on.below(distance, 5.0), distance) == ["a", "dt", "compare"]


def test_many_large_balls_are_dearer_than_one_distance() -> None:
    on = Shapes()
    distance = on.apply("dt", on.a)
    few = [on.below(distance, float(r)) for r in (2, 3, 4)]
    many = [on.below(distance, float(r)) for r in range(50, 90)]
    assert "dt" not in made(*few)
    assert made(*many) == ["a", "dt", *["compare"] * 40]


def test_a_comparison_is_one_pass_unless_its_parts_are_needed() -> None:
    on = Shapes()
    image = on.table.apply(Operator("i", "i", 1, (), IMAGE, lambda: 0.0, ""), (), SPACE)
    assert made(on.below(image, 5.0)) == ["i", "compare"]
    equal = on.apply("equal", 5.0, image)
    assert made(on.apply("not", on.apply("not", equal))) == ["i", "compare"]
    parts = on.below(image, 5.0), equal, on.apply("at_most_constant", 5.0, image)
    assert sorted(made(*parts)) == ["at_most_constant", "difference", "equal", "i"]


def test_a_chain_of_arithmetic_and_its_comparison_are_one_task() -> None:
    on = Shapes()
    image = on.table.apply(Operator("i", "i", 1, (), IMAGE, lambda: 0.0, ""), (), SPACE)
    doubled = on.apply("multiply_constant", image, 2.0)
    shifted = on.apply("add", on.apply("abs", on.apply("subtract_constant", doubled, 1.0)), image)
    assert made(doubled) == ["i", "multiply_constant"]
    assert made(on.below(doubled, 5.0)) == ["i", "voxelwise_mask"]
    assert made(shifted) == ["i", "voxelwise"]
    assert made(on.below(shifted, 5.0)) == ["i", "voxelwise_mask"]
    assert made(on.below(shifted, 5.0), on.above(shifted, 9.0), shifted) == ["i", "voxelwise", "compare", "compare"]
    assert made(on.apply("add_constant", image, 1.0)) == ["i", "add_constant"]
    chain = image
    for _ in range(40):
        chain = on.apply("multiply_constant", chain, 2.0)
    assert len(made(chain)) < 8


def test_correlations_of_one_image_with_many_regions_share_its_windows() -> None:
    on = Shapes()
    image = on.table.apply(Operator("i", "i", 1, (), IMAGE, lambda: 0.0, ""), (), SPACE)
    other = on.table.apply(Operator("j", "j", 1, (), IMAGE, lambda: 0.0, ""), (), SPACE)

    def similar(rho: float, b: Formula, region: Formula, bins: float) -> Formula:
        return on.apply("crosscorrelation", rho, image, b, region, 0.0, 5.0, bins)

    regions = on.a, on.apply("near", on.a), on.apply("not", on.a)
    assert made(*[similar(3.0, image, region, 20.0) for region in regions]) == [
        "i", "windows", "a", "correlate", "near", "correlate", "not", "correlate",
    ]  # fmt: skip
    assert made(similar(3.0, other, on.a, 20.0)) == ["i", "windows", "j", "a", "correlate_other"]
    assert made(similar(8.0, image, on.a, 20.0)) == ["i", "a", "crosscorrelation"]
    assert made(similar(3.0, image, on.a, 256.0)) == ["i", "a", "crosscorrelation"]
    bins = on.apply("volume", on.a)
    alone = on.above(similar(3.0, image, on.a, 20.0), 0.6)
    assert made(alone) == ["i", "windows", "a", "compare_correlation"]
    assert made(on.above(similar(3.0, other, on.a, 20.0), 0.6))[-1] == "compare_correlation_other"
    assert made(on.above(similar(8.0, image, on.a, 20.0), 0.6))[-2:] == ["crosscorrelation", "compare"]
    twice = on.below(similar(3.0, image, on.a, 20.0), 0.1)
    assert made(alone, twice) == ["i", "windows", "a", "correlate", "compare", "compare"]
    computed = on.apply("crosscorrelation", 3.0, image, image, on.a, 0.0, 5.0, bins)
    assert made(computed)[-1] == "crosscorrelation"


@pytest.mark.parametrize("space", [Space.grid(90, 12), Space.grid(80, 9, 30, spacing=(1.0, 2.0, 0.7))])
def test_windows_of_a_small_object_are_small_and_the_same_from_a_store(space: Space) -> None:
    from voxlogica.kernels import masks

    rng = np.random.default_rng(1)
    voxels = np.full(space.shape, 7, np.float32)
    voxels[-1:, 3:6, 40:45] = rng.integers(0, 9, (1, 3, 5))
    image, phi = Image.of(space, voxels), Mask.of(space, masks.pack(rng.random(space.shape) < 0.5))
    expected = OPERATORS["crosscorrelation"].body(2.0, image, image, phi, 0.0, 9.0, 5.0)
    windows = OPERATORS["windows"].body(2.0, image, 0.0, 9.0, 5.0)
    assert isinstance(windows, Image)
    assert windows.nbytes < image.nbytes / 2
    encoded = encode(windows)
    stored = decode(encoded.form, b"".join(encoded.parts))
    for held in (windows, stored):
        found = fused.CORRELATE.body(held, phi, 2.0, 0.0, 9.0, 5.0)
        assert isinstance(found, Image)
        assert isinstance(expected, Image)
        assert found.data == expected.data


def test_several_aggregates_of_the_same_are_one_pass() -> None:
    on = Shapes()
    image = on.table.apply(Operator("i", "i", 1, (), IMAGE, lambda: 0.0, ""), (), SPACE)
    whole = on.apply("min", image), on.apply("max", image)
    within = [on.apply(name, image, on.a) for name in ("minwithin", "maxwithin", "avg", "avg0")]
    assert made(*whole) == ["i", "extremes", "field", "field"]
    assert made(*within) == ["i", "a", "summary", *["of_summary"] * 4]
    for goal in (*whole, *within):
        assert made(goal)[-1] == goal.operator.name  # type: ignore[union-attr]
    assert made(whole[0], within[0])[1:] == ["min", "a", "minwithin"]
    assert {task.id for task in plan(whole).tasks} >= {goal.id for goal in whole}


def test_ids_and_publishing_are_those_of_formulas_and_goals() -> None:
    on = Shapes()
    goal = on.below(on.apply("dt", on.apply("near", on.a)), 5.0)
    whole = plan([goal])
    assert whole.tasks[-1].id == goal.id
    assert whole.tasks[-1].rule == "distance 1"
    near = whole.tasks[1]
    again = plan([goal], {near.id: None})
    assert again.known == (near.formula,)
    assert [(task.id, task.how.id) for task in again.tasks] == [(task.id, task.how.id) for task in whole.tasks[-1:]]


def test_what_is_not_rewritten_is_its_own_way() -> None:
    on = Shapes()
    assert all(task.how is task.formula and not task.rule for task in plan([on.apply("near", on.a)]).tasks)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_every_rule_has_a_proof(rule: object) -> None:
    assert len(rule.proof) > 80  # type: ignore[attr-defined]


def test_long_chains_of_comparisons_stay_linear() -> None:
    on = Shapes()
    image = on.table.apply(Operator("i", "i", 1, (), IMAGE, lambda: 0.0, ""), (), SPACE)
    formula = on.apply("equal", 1.0, image)
    for _ in range(20_000):
        formula = on.apply("or", on.apply("not", formula), on.apply("at_least_constant", 1.0, image))
    order = [task.formula for task in plan([formula]).tasks]
    rewrite(order, [formula.id], COSTS.seconds)
    assert sum(len(task.inputs) for task in plan([formula]).tasks) < 200_000


def test_the_manual_lists_the_rules() -> None:
    page = Path(__file__).parents[1] / "docs" / "performance.md"
    rows = [f"| {rule.name} | {rule.version} | {rule.proof.splitlines()[0]} |" for rule in RULES]
    assert "\n".join(rows) in page.read_text("utf-8")
