"""How runs begin and end: what their plans bring into the machine, what they share, what formulas extend them by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from voxlogica.execution.making import Making
from voxlogica.execution.messages import Begin, Cancel, Compute, Expire, Overdue, Replace
from voxlogica.execution.states import (
    COMPLETED,
    DONE,
    FAILED,
    FETCHING,
    FOREIGN,
    KNOWN,
    OPEN,
    RUNNING,
    STOPPED,
    WAITING,
    Record,
    Run,
)
from voxlogica.formula import Formula
from voxlogica.identity import Id
from voxlogica.plan import Task, Workplan
from voxlogica.storage import TaskError

_RANK = 40  # bits that a priority within a plan takes at most


class Runs(Making):
    """Links plans into the records; see the module."""

    def _begin(self, event: Begin) -> None:
        run = self.runs[event.run] = Run(event.run, event.counts, event.listening, event.limit, event.rank)
        self._listening += event.listening
        run.counts.usage = self.usage
        created, settled = self._enter(event.plan, event.failed, run)
        goals = [self.records[goal.id] for goal in event.plan.goals if goal.id in self.records]
        for goal in goals:  # before anything moves, lest a goal be dropped for want of readers
            goal.pins = goal.pins + run.itself if goal.pins else run.itself
            goal.refs += 1
            goal.goal = True
            run.goals.add(goal)
        self._set_going(created, settled)
        for goal in goals:
            if goal.state == DONE or (goal.state in STOPPED and goal in run.goals):
                self._deliver(goal)
            elif goal.state == KNOWN:
                self._asked_for.append(goal)
            elif goal.state == OPEN and not goal.published:
                self._demand(goal)  # private in the plan of another run, where it is under way
        if event.limit is not None:
            self._watch()
        self._finished(run)

    def _watch(self) -> None:
        """A run with a limit has come: what is under way already may be what it waits for."""
        for number, (_, record) in list(self._asked.items()):
            if (record.state == RUNNING and number == record.number and not record.tiny) or record.state == FOREIGN:
                self._alarm(record, number)

    def _enter(
        self, plan: Workplan, failed: Mapping[Id, TaskError], run: Run, again: Record | None = None
    ) -> tuple[list[Record], list[Record]]:
        """Makes and links records for what a plan needs, from the goals down.

        These, and those that were there already or whose outcome is known. What is under way is shared, and then what
        it reads is not looked at. `again` is the record of a stored value that is
        gone, which becomes an ordinary task.
        """
        needed = {goal.id for goal in plan.goals}
        tasks: list[Task] = []
        settled: list[Record] = []
        for task in reversed(plan.tasks):
            if task.formula.id in needed:
                record = self.records.get(task.formula.id)
                if record is not None and record is not again and record.state not in STOPPED:
                    self._share(record, run)
                    settled.append(record)
                else:
                    tasks.append(task)
                    needed.update([input.id for input in task.inputs])
        for known in plan.known:
            if known.id in needed:
                settled.append(self._known(known, failed, run))
        tasks.reverse()
        created = []
        counts = run.counts
        counts.tasks += len(tasks)
        for task in tasks:
            record = again if again is not None and task.formula.id == again.id else Record(task.formula, run)
            self.records[record.id] = record
            self._link(record, task, record is again)
            counts.expected += task.seconds
            created.append(record)
        return created, settled

    def _set_going(self, created: Iterable[Record], settled: Iterable[Record]) -> None:
        for record in created:
            if not record.lacking and record.state == WAITING:
                self._opened(record)
        for record in settled:
            if record.state == KNOWN and record.dynamic:
                self._load(record)
            elif record.state == FAILED:
                self._spread(record)

    def _share(self, record: Record, run: Run) -> None:
        """A run needs a task that another run, or an earlier one, has under way."""
        if record.run is run or run in record.sharing:
            return
        run.counts.tasks += 1
        if record.state in COMPLETED or record.gathers:
            run.counts.reused += 1
            if run.listening:
                self._told(run, record, "reused", 0.0, record.resident, 0.0, -1)
        else:
            record.sharing += (run,)
            run.counts.expected += record.seconds
            if record.state == FOREIGN:
                run.counts.waiting += 1
            elif record.state in (FETCHING, RUNNING) and not record.tiny:
                run.counts.running += 1

    def _known(self, formula: Formula, failed: Mapping[Id, TaskError], run: Run) -> Record:
        """Makes a record for an outcome that is stored, unless there is one."""
        record = self.records.get(formula.id)
        run.counts.tasks += 1
        if record is not None and record.state not in STOPPED:
            run.counts.reused += 1
            return record
        record = self.records[formula.id] = Record(formula, run)
        record.error = failed.get(formula.id)
        if record.error is None:
            record.state, record.stored = KNOWN, True
            run.counts.reused += 1
            self._tell(record, "reused")
            record.dynamic = formula.operator is not None and formula.operator.dynamic
            return record
        record.state, record.cause = FAILED, record
        run.counts.failed += 1
        self._tell(record, "failed")
        return record

    def _link(self, record: Record, task: Task, again: bool) -> None:
        record.priority = (record.run.rank << _RANK) + task.priority
        record.published, record.tiny = task.published, task.tiny
        record.seconds, record.again = task.seconds, task.again
        record.how, record.rule = task.how, task.rule
        operator = task.formula.operator
        if operator is not None:
            record.dynamic = operator.dynamic
            record.isolated = operator.isolate or (record.id in self.suspects and not operator.dynamic)
        if not task.tiny:
            record.bytes, record.scratch = task.bytes, task.scratch
        records = self.records
        self._reads(record, tuple([records[input.id] for input in task.inputs]), again)

    @staticmethod
    def _reads(record: Record, inputs: tuple[Record, ...], again: bool) -> None:
        record.inputs = inputs
        for input in inputs:
            # Who was linked before, found stored, and then lost, may still stand among the users.
            if not again or record not in input.users:
                input.users.append(record)
            input.refs += 1
            if not input.at_hand:
                record.lacking += 1

    def _grow(self, record: Record, plan: Workplan, failed: Mapping[Id, TaskError]) -> None:
        """A task is completed by the formulas that it returned, the goals of a plan: from now on it reads them."""
        record.dynamic, record.gathers, record.published, record.tiny = False, True, False, True
        record.isolated = record.stored = False
        record.bytes = record.scratch = record.lacking = 0
        self._move(record, WAITING)
        created, settled = self._enter(plan, failed, record.run)
        for sharing in record.sharing:
            for each in created:
                self._share(each, sharing)
        elements = tuple([self.records[goal.id] for goal in plan.goals if goal.id in self.records])
        self._reads(record, elements, True)
        if self._reaches(elements, record):
            self._endless(record)
        self._set_going(created, settled)
        stopped = self._stopped_input(record)
        if record.state == WAITING and stopped is not None:
            self._spread(stopped)
        elif record.state == WAITING and not record.lacking:
            self._opened(record)

    @staticmethod
    def _reaches(elements: Iterable[Record], goal: Record) -> bool:
        """Whether something unfinished that these need is the goal: formulas that need their own value."""
        stack, seen = [element for element in elements if not element.at_hand], set(elements)
        while stack:
            record = stack.pop()
            if record is goal:
                return True
            for input in record.inputs:
                if input not in seen and not input.at_hand:
                    seen.add(input)
                    stack.append(input)
        return False

    def _endless(self, record: Record) -> None:
        record.error = TaskError(
            kind="definite",
            type="Refusal",
            message="the formulas that it returned need its own value",
            task=record.id,
            operator=record.formula.operator.name if record.formula.operator else "",
        )
        self._stop(record, FAILED, record)
        self._spread(record)

    # The end

    def _cancel(self, event: Cancel) -> None:
        run = self.runs.pop(event.run, None)
        if run is None:
            return
        self._deafen(run)
        for number, record in run.deliveries.items():
            del self._asked[number], self._taking[number]
            self._unref(record)
        for record in run.goals:
            record.pins = tuple(pin for pin in record.pins if pin is not run)
            self._unref(record)

    def _expire(self, event: Expire) -> None:
        run = self.runs.get(event.run)
        if run is None:
            return
        for goal in sorted(run.goals, key=lambda goal: goal.priority):
            if run in goal.pins:
                self._fail_for(run, goal, event.error, goal)
        self._finished(run)

    def _overdue(self, event: Overdue) -> None:
        asked, run = self._asked.get(event.number), self.runs.get(event.run)
        if asked is None or run is None:
            return
        kind, record = asked
        self._give_up(run, record, event.error)
        if record.killed:
            record.killed = event.error
        elif kind is Compute and not record.overdue and not record.tiny:
            was_at_hand = record.at_hand
            record.overdue = True
            self.running -= 1
            self._leave_slot(record)
            self._out.append(Replace())
            if was_at_hand:  # nobody holds a claim while waiting for what may never come
                self._withdraw(record)
