"""From goals to a workplan: what is needed, in which order, what is published; and that it is quick."""

from __future__ import annotations

import random
import time

from voxlogica.formula import BOOL, IMAGE, LABELS, MASK, NUMBER, Formula, Formulas, Leaf, Operator, Type, below
from voxlogica.plan import COSTS, Cost, Costs, plan, result_bytes, space_of
from voxlogica.values import Space

SPACE = Space.grid(100, 90, 80)


def operator(name: str, *parameters: Type, result: Type = IMAGE, cost: str = "voxels", **more: bool) -> Operator:
    named = tuple((f"a{n}", kind) for n, kind in enumerate(parameters))
    return Operator(name, name, 1, named, result, lambda *a: 0.0, "", cost=cost, **more)


def chain(length: int, cost: str = "voxels") -> Formula:
    """x0, f(x0), f(f(x0)), …: the last of them; `length` tasks."""
    table = Formulas()
    step = operator("step", IMAGE, cost=cost)
    formula = table.apply(operator("first", cost=cost), (), SPACE)
    for _ in range(length - 1):
        formula = table.apply(step, (formula,))
    return formula


def published(goal: Formula, costs: Costs = COSTS, known: tuple[bytes, ...] = ()) -> int:
    return sum(task.published for task in plan([goal], known, costs).tasks)


def test_constants_are_read_as_they_are_kept_and_a_class_without_any_costs_what_it_does_here() -> None:
    costs = Costs(k=2, store_call=1e-3, store_byte=0.1 + 0.2, classes={"voxels": Cost(1 / 3, 2e-9, 4)})
    kept = Costs.read(costs.text)
    assert (kept.k, kept.store_call, kept.store_byte) == (2, 1e-3, 0.1 + 0.2)
    assert kept.classes == {**COSTS.classes, "voxels": Cost(1 / 3, 2e-9, 4)}
    assert Costs.read(COSTS.text) == COSTS
    assert Costs.read(COSTS.text.replace("{", '{"of a later version": 1, ', 1)) == COSTS


def test_tasks_come_after_what_they_read_and_priority_is_their_place():
    table = Formulas()
    a = table.apply(operator("a"), (), SPACE)
    b = table.apply(operator("b", IMAGE), (a,))
    c = table.apply(operator("c", IMAGE, IMAGE), (b, a))
    made = plan([c, b])
    assert [task.formula for task in made.tasks] == [a, b, c]
    assert [task.priority for task in made.tasks] == [0, 1, 2]
    assert [task.inputs for task in made.tasks] == [(), (a,), (b, a)]
    assert [task.users for task in made.tasks] == [2, 1, 0]
    assert made.goals == (c, b)


def test_a_chain_is_finished_before_the_next_is_begun():
    """Depth first: 100 cases of a load and a step keep one volume alive, not 100."""
    table = Formulas()
    loads = [table.apply(operator(f"load{n}"), (), SPACE) for n in range(100)]
    goals = [table.apply(operator("step", IMAGE), (load,)) for load in loads]
    names = [task.formula.operator.name for task in plan(goals).tasks]
    assert names == [name for n in range(100) for name in (f"load{n}", "step")]


def test_constants_are_values_and_repeated_inputs_one():
    table = Formulas()
    one = table.constant(1.0)
    add = operator("add", NUMBER, NUMBER, result=NUMBER, cost="scalar")
    two = table.apply(add, (one, one))
    four = table.apply(add, (two, two))
    made = plan([four, one])
    assert [(task.formula, task.inputs) for task in made.tasks] == [(two, ()), (four, (two,))]
    assert made.goals == (four, one)
    assert all(task.tiny for task in made.tasks)


def test_leaves_are_tasks():
    table = Formulas()
    leaf = table.leaf(Leaf("brain.nii", b"0" * 32, "nifti", 1, SPACE))
    made = plan([leaf])
    assert [(task.formula, task.tiny) for task in made.tasks] == [(leaf, False)]
    assert made.tasks[0].bytes == SPACE.voxels * 4


def test_what_is_known_needs_none_of_its_inputs():
    table = Formulas()
    a = table.apply(operator("a"), (), SPACE)
    b = table.apply(operator("b", IMAGE), (a,))
    c = table.apply(operator("c", IMAGE), (b,))
    d = table.apply(operator("d", IMAGE, IMAGE), (c, a))
    assert plan([c], [b.id]).tasks[0].formula is c
    assert plan([c], [b.id]).known == (b,)
    assert plan([c], [c.id]) == plan([c], {c.id: None, a.id: None})
    assert plan([c], [c.id]).tasks == ()
    assert plan([c], [c.id]).known == (c,)
    assert [task.formula for task in plan([d], [b.id]).tasks] == [a, c, d]


def test_goals_of_several_tables_share_by_id():
    one, two = chain(3), chain(3)
    assert one is not two
    made = plan([one, two])
    assert made.goals == (one,)
    assert len(made.tasks) == 3


def test_a_long_cheap_chain_is_published_where_making_it_again_costs_more_than_keeping_it():
    """1,000 steps of 1 ms, 9 ms to store: each 28th is published, 35 of them, and the goal."""
    costs = Costs(k=3, store_call=9 / 1024, store_byte=0, classes={"voxels": Cost(1 / 1024)})  # no rounding
    goal = chain(1000)
    tasks = plan([goal], (), costs).tasks
    places = [place + 1 for place, task in enumerate(tasks) if task.published]
    assert places == [*range(28, 1000, 28), 1000]


def test_what_is_published_depends_on_formula_and_goals_and_not_on_what_is_known():
    costs = Costs(k=3, store_call=9e-3, store_byte=0, classes={"voxels": Cost(1e-3)})
    goal = chain(1000)
    formulas = list(below([goal]))
    all_published = {task.id for task in plan([goal], (), costs).tasks if task.published}
    known = [formulas[n].id for n in (10, 28, 300, 301, 500)]
    rest = plan([goal], known, costs)
    assert {task.id for task in rest.tasks if task.published} == all_published & {task.id for task in rest.tasks}
    assert len(rest.tasks) == 1000 - 501


def test_goals_and_what_declares_no_cost_are_published():
    table = Formulas()
    cheap = table.apply(operator("cheap"), (), SPACE)
    unknown = table.apply(operator("unknown", IMAGE, cost=""), (cheap,))
    goal = table.apply(operator("goal", IMAGE), (unknown,))
    assert [task.published for task in plan([goal]).tasks] == [False, True, True]
    assert [task.published for task in plan([goal, cheap]).tasks] == [True, True, True]


def test_the_costs_declared_publish_what_is_dear_and_keep_what_is_cheap_private():
    table = Formulas()
    image = table.apply(operator("load"), (), SPACE)
    mask = table.apply(operator("near", IMAGE, result=MASK, cost="neighbourhood"), (image,))
    for cost, expected in (("voxels", False), ("neighbourhood", False), ("distance", True), ("window", True)):
        formula = table.apply(operator(cost, MASK, cost=cost), (mask,))
        goal = table.apply(operator("goal", IMAGE), (formula,))
        assert plan([goal]).tasks[2].published is expected, cost


def test_estimated_bytes_follow_type_and_space():
    table = Formulas()
    image = table.apply(operator("image"), (), SPACE)
    mask = table.apply(operator("mask", IMAGE, result=MASK), (image,))
    labels = table.apply(operator("labels", MASK, result=LABELS), (mask,))
    volume = table.apply(operator("volume", MASK, result=NUMBER), (mask,))
    assert result_bytes(image) == result_bytes(labels) == 100 * 90 * 80 * 4
    assert result_bytes(mask) == 90 * 80 * 2 * 8  # two words of 64 voxels a row
    assert result_bytes(volume) == 32
    assert space_of(volume) is space_of(image) is SPACE
    empty = table.apply(operator("empty", MASK, result=BOOL), (mask,))
    assert plan([empty]).tasks[-1].scratch == 0
    assert plan([table.apply(operator("dt", MASK, cost="distance"), (mask,))]).tasks[-1].scratch == 720_000 * 8


def test_a_hundred_thousand_tasks_are_planned_in_a_second_or_two():
    """Deep and wide, with sharing; nothing is recursive."""
    rng = random.Random(0)
    table = Formulas()
    add = operator("add", NUMBER, NUMBER, result=NUMBER, cost="scalar")
    formulas: list[Formula] = [table.constant(1.0)]
    while len(formulas) < 100_000:
        formulas.append(table.apply(add, (formulas[-1], rng.choice(formulas))))
    start = time.process_time()
    made = plan([formulas[-1]])
    assert time.process_time() - start < 4
    assert len(made.tasks) > 99_000
