"""How much of an index a query must look at: measured, not guessed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from search_back.index.coarse import centres_scored
from search_back.index.faiss_index import FaissIndex
from search_back.index.measure import LADDER, Exam, Exams
from search_back.index.parameters import least_nprobe
from search_back.index.plan import SearchPlan, SearchSettings, Step
from search_back.types import Modality

MARGIN: Final = 0.01  # asked for beyond the target, since other queries may be a little harder
K_FACTORS: Final = (1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0)
PATIENCE: Final = 2  # factors in a row that cost more; one alone may be for breadths going by steps
STEPS: Final = 6  # that double the breadth
STALLED: Final = 0.002  # of recall gained by a doubling: more of the same will not do
# Scoring a candidate again reads its vector from anywhere in memory. Measured against reading
# codes one after another, the wait is worth so many bytes of them.
RANDOM_READ_BYTES: Final = 3_200
# The same of a row that a graph search compares, for each byte of it; of a list that is visited,
# however few vectors it holds; and of a centre that is compared with a query.
LINKED_READ_BYTES: Final = 5.0
LIST_BYTES: Final = 6_000
CENTRE_BYTES: Final = 1_200
# Candidates of the graph beside an index for each result, and of the few for which those are few.
EF_FACTORS: Final = (1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 6.0, 9.0, 13.0)
LEAST_EF: Final = 16
LINKED_LADDER: Final = (10, 40)  # results, a page of them; of more, lists find as many for as much


def tune(
    index: FaissIndex,
    exams: Mapping[Modality, Exams],
    *,
    recall: float,
    ladder: Sequence[int] = LADDER,
) -> SearchPlan:
    """The cheapest settings that reach a recall, for each kind of query and each k of a ladder.

    Cost is counted in bytes read, not in time, so that the same vectors give the same plan on a
    busy machine. Where nothing reaches the recall the plan holds what came nearest.
    """
    if index.ivf is None and index.graph is None and not index.refines:
        return SearchPlan({})
    steps: dict[Modality, tuple[Step, ...]] = {}
    for kind, exam in exams.items():
        found: list[Step] = []
        for k in ladder:
            if k > ladder[0] and k * 10 > len(index):
                break
            # No breadth falls as k grows, so what fewer results needed is where to begin.
            first = found[-1].settings.nprobe if found else None
            found.append(
                Step(k, _cheapest(index, exam.for_results(k), k, recall + MARGIN, first or 1))
            )
        lists = _rising([*found, _everything(index)])
        few = [k for k in LINKED_LADDER if k <= ladder[-1] and k * 10 <= len(index)]
        linked = _linked(index, exam.tuning, few, kind, SearchPlan({kind: lists}), recall + MARGIN)
        steps[kind] = _rising([*linked, *(s for s in lists if s.k not in {f.k for f in linked})])
    return SearchPlan(steps)


def _cheapest(index: FaissIndex, exam: Exam, k: int, target: float, first: int) -> SearchSettings:
    target = min(target, 1.0)
    best: tuple[float, SearchSettings] | None = None
    nearest: tuple[float, SearchSettings] = (-1.0, SearchSettings())
    factors: tuple[float | None, ...] = (None,)
    if index.refines:
        factors = tuple(f for f in K_FACTORS if f == 1 or f * k <= len(index))
    widths = list(_breadths(index, k, first))
    enough: int | None = None
    worse = 0
    for factor in factors:
        trial = _Trial(index, exam, k, [_settings(index, b, factor) for b in widths])
        if enough is None:
            # The last candidates are the most: if they do not do, what comes nearest is theirs.
            at = trial.least(target, give_up=factor != factors[-1])
        else:
            at = trial.least_from(enough, target)
        reached, settings = trial.recall(at), trial.settings(at)
        if reached < target:
            nearest = max(nearest, (reached, settings), key=lambda found: found[0])
            continue
        enough = at
        cost = _cost(index, settings, k)
        if best is None or cost < best[0]:
            best, worse = (cost, settings), 0
        else:
            worse += 1
        if worse == PATIENCE:
            break  # more candidates only cost from here on
    return best[1] if best is not None else nearest[1]


def _linked(
    index: FaissIndex,
    exam: Exam,
    ladder: Sequence[int],
    kind: Modality,
    lists: SearchPlan,
    target: float,
) -> list[Step]:
    """Steps at which the graph beside the index finds as much as ``lists`` for less."""
    found: list[Step] = []
    for k in ladder if index.neighbours is not None else ():
        settings = _walked(index, exam, k, target, lists.at(k, kind))
        if settings.seed_nprobe is None:
            break
        found.append(Step(k, settings))
    return found


def _walked(
    index: FaissIndex, exam: Exam, k: int, target: float, lists: SearchSettings
) -> SearchSettings:
    """With the graph, if that finds as much as ``lists`` for less; else ``lists``."""
    assert index.ivf is not None
    wanted = min(target, 1.0, exam.recall(index.with_settings(lists), k))
    best = (_cost(index, lists, k), lists)
    widths = list(_rise(1, int(index.ivf.nlist)))
    at = worse = 0
    # The fewer candidates are kept, the more lists must have been good ones.
    for factor in reversed(EF_FACTORS):
        ef = round(max(k, LEAST_EF) * factor)
        cheaper = [n for n in widths[at:] if _cost(index, SearchSettings(nprobe=n), k) < best[0]]
        if not cheaper:
            break
        steps = [replace(lists, ef_search=ef, seed_nprobe=n) for n in cheaper]
        trial = _Trial(index, exam, k, steps)
        more = trial.least(wanted, patient=True)
        if trial.recall(more) < wanted:
            break
        at += more
        found = (_linked_cost(index, exam, k, trial.settings(more)), trial.settings(more))
        worse = 0 if found[0] < best[0] else worse + 1
        best = min(best, found, key=lambda one: one[0])
        if worse == PATIENCE:
            break
    return best[1]


def _linked_cost(index: FaissIndex, exam: Exam, k: int, settings: SearchSettings) -> float:
    assert index.neighbours is not None
    asked = exam.questions
    compared = index.with_settings(settings).compared(asked.rows, k, hidden=asked.own)
    lists = SearchSettings(nprobe=settings.seed_nprobe)
    read = compared / len(asked.rows) * index.neighbours.row_bytes
    return _cost(index, lists, k) + read * LINKED_READ_BYTES


class _Trial:
    """Recall at each of ``steps``, which look at ever more."""

    def __init__(
        self, index: FaissIndex, exam: Exam, k: int, steps: Sequence[SearchSettings]
    ) -> None:
        self._index, self._exam, self._k = index, exam, k
        self._steps = steps
        self._known: dict[int, float] = {}

    def settings(self, at: int) -> SearchSettings:
        return self._steps[at]

    def recall(self, at: int) -> float:
        if at not in self._known:
            index = self._index.with_settings(self.settings(at))
            self._known[at] = self._exam.recall(index, self._k)
        return self._known[at]

    def least(self, target: float, *, give_up: bool = False, patient: bool = False) -> int:
        """The first step that reaches a target; where none does, one near the best.

        ``give_up``: or, sooner, one from which on the same gain each time would not do;
        ``patient``: however little each gains.
        """
        last = len(self._steps) - 1
        low, high = -1, 0
        while self.recall(high) < target and high < last:
            if low >= 0:
                gained, missing = self.recall(high) - self.recall(low), target - self.recall(high)
                doublings = (last - high) / STEPS
                # Below a half, what is gained may still become more.
                hopeless = self.recall(high) > 0.5 and gained * doublings < missing
                if not patient and (gained < STALLED or (give_up and hopeless)):
                    return high
            low, high = high, min(last, high + STEPS)
        return self._between(low, high, target)

    def least_from(self, enough: int, target: float) -> int:
        """The same, where fewer candidates per result reached the target at ``enough``."""
        low, high, step = -1, enough, 1
        while high > 0 and low < 0:
            at = max(0, high - step)
            if self.recall(at) >= target:
                high, step = at, 2 * step
            else:
                low = at
        return self._between(low, high, target)

    def _between(self, low: int, high: int, target: float) -> int:
        """Of what reaches it above ``low``, which does not, up to ``high``, which may."""
        while self.recall(high) >= target and high - low > 1:
            middle = (low + high) // 2
            if self.recall(middle) >= target:
                high = middle
            else:
                low = middle
        return high


def _settings(index: FaissIndex, breadth: int, factor: float | None) -> SearchSettings:
    if index.ivf is not None:
        return SearchSettings(nprobe=breadth, k_factor=factor)
    return SearchSettings(ef_search=breadth if index.graph is not None else None, k_factor=factor)


def _breadths(index: FaissIndex, k: int, first: int = 1) -> Iterator[int]:
    """Lists to visit or candidates to keep."""
    if index.ivf is not None:
        return _rise(max(first, least_nprobe(index.ivf, k)), int(index.ivf.nlist))
    return _rise(max(16, k), len(index)) if index.graph is not None else iter([1])


def _rise(first: int, last: int) -> Iterator[int]:
    """Each an eighth more than the one before."""
    breadth = min(first, last)
    while breadth < last:
        yield breadth
        breadth = max(breadth + 1, round(breadth * 2 ** (1 / STEPS)))
    yield last


def _everything(index: FaissIndex) -> Step:
    """All vectors are among the results of a search through every list."""
    ivf = index.ivf
    return Step(
        len(index),
        SearchSettings(
            nprobe=int(ivf.nlist) if ivf is not None else None,
            ef_search=len(index) if index.graph is not None else None,
            k_factor=1.0 if index.refines else None,
        ),
    )


def _rising(steps: list[Step]) -> tuple[Step, ...]:
    """Steps whose breadth never falls as k grows, each k once."""
    result: list[Step] = []
    for step in sorted(steps, key=lambda s: s.k):
        settings = step.settings
        if result:
            wider = result[-1].settings.at_least(settings)
            settings = replace(
                settings,
                nprobe=wider.nprobe,
                ef_search=settings.ef_search and wider.ef_search,
                seed_nprobe=settings.seed_nprobe and (wider.seed_nprobe or settings.seed_nprobe),
            )
        if result and result[-1].k == step.k:
            result.pop()
        result.append(Step(step.k, settings))
    return tuple(result)


def _cost(index: FaissIndex, settings: SearchSettings, k: int) -> float:
    candidates = k * (settings.k_factor or 0.0)
    ivf: Any = index.ivf
    scanned = 0.0
    if ivf is not None and settings.nprobe is not None:
        scanned = settings.nprobe * (len(index) / ivf.nlist * ivf.code_size + LIST_BYTES)
        scanned += centres_scored(ivf, settings.nprobe) * CENTRE_BYTES
    elif settings.ef_search is not None:
        scanned = float(settings.ef_search * RANDOM_READ_BYTES)
    return scanned + candidates * RANDOM_READ_BYTES
