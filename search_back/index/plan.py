"""How much of an index a query looks at, by its kind and by how many results it asks for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from functools import reduce
from typing import Any, Final

from search_back.types import MODALITIES, Modality

# For kinds of queries that were not measured: candidates times those that measured ones need, and
# lists that seed a graph of those that they would visit without it. Texts asked so among a million
# pictures, with what was tuned for pictures, found 0.964 of 10 and 0.940 of 40; lists alone 0.928
# and 0.941, in twice the time.
EF_OF_OTHERS: Final = 2
SEEDS_OF_OTHERS: Final = 1 / 4


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """Parameters of one call. None: as the index file says.

    ``nprobe``: inverted lists; ``ef_search``: candidates of a graph; ``k_factor``: candidates per
    result that a refining index scores again. ``seed_nprobe``: lists that give a graph beside an
    index the candidates to begin with; None: that graph is not asked.
    """

    nprobe: int | None = None
    ef_search: int | None = None
    k_factor: float | None = None
    seed_nprobe: int | None = None

    def at_least(self, other: SearchSettings) -> SearchSettings:
        """The larger of each parameter, which finds what either would find.

        A graph beside an index is asked only where both say so.
        """
        linked = self.seed_nprobe is not None and other.seed_nprobe is not None
        return SearchSettings(
            nprobe=_larger(self.nprobe, other.nprobe),
            ef_search=_larger(self.ef_search, other.ef_search),
            k_factor=_larger(self.k_factor, other.k_factor),
            seed_nprobe=_larger(self.seed_nprobe, other.seed_nprobe) if linked else None,
        )


@dataclass(frozen=True, slots=True)
class Step:
    """The settings that were measured for ``k`` results."""

    k: int
    settings: SearchSettings


@dataclass(frozen=True, slots=True)
class SearchPlan:
    """Steps of rising k for each kind of query; between two, parameters grow as powers of k.

    A kind that was not measured, and a caller who does not know it, get what serves every kind.
    """

    steps: Mapping[Modality, tuple[Step, ...]]

    @classmethod
    def of(cls, settings: SearchSettings) -> SearchPlan:
        """The same settings whatever is asked."""
        return cls({kind: (Step(1, settings),) for kind in MODALITIES})

    def at(self, k: int, asked_by: Modality | None = None) -> SearchSettings:
        """The settings for ``k`` results of a kind of query; None: of any kind."""
        if asked_by is not None and asked_by in self.steps:
            return _between(self.steps[asked_by], k)
        kinds = [_between(steps, k) for steps in self.steps.values()]
        wide = reduce(SearchSettings.at_least, kinds) if kinds else SearchSettings()
        return wide if len(kinds) == len(MODALITIES) else _for_others(wide)

    def to_json(self) -> dict[str, Any]:
        return {
            kind: [{"k": s.k, **_given(asdict(s.settings))} for s in steps]
            for kind, steps in self.steps.items()
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> SearchPlan:
        """Of :meth:`to_json`, or of one set of parameters for all. Raises as bad values do."""
        if not value:
            return cls({})
        known = {field.name for field in fields(SearchSettings)}
        if set(value) <= known:
            return cls.of(SearchSettings(**value))
        steps: dict[Modality, tuple[Step, ...]] = {}
        unknown = set(value) - set(MODALITIES)
        if unknown:
            raise TypeError(f"{sorted(unknown)} are no kinds of query")
        for kind in MODALITIES:
            if value.get(kind):
                steps[kind] = tuple(_step(row) for row in value[kind])
        return cls(steps)


def _for_others(settings: SearchSettings) -> SearchSettings:
    """Those of measured kinds for one that was not: with a graph, for what lies far from all rows.

    As texts among pictures may. They then find what the lists of those settings would find.
    """
    if settings.seed_nprobe is None or settings.nprobe is None or settings.ef_search is None:
        return settings
    seeds = math.ceil(settings.nprobe * SEEDS_OF_OTHERS)
    return replace(
        settings,
        ef_search=EF_OF_OTHERS * settings.ef_search,
        seed_nprobe=max(settings.seed_nprobe, seeds),
    )


def _step(row: Mapping[str, Any]) -> Step:
    return Step(int(row["k"]), SearchSettings(**{n: v for n, v in row.items() if n != "k"}))


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _larger(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else max(a, b)


def _between(steps: tuple[Step, ...], k: int) -> SearchSettings:
    below = max((s for s in steps if s.k <= k), key=lambda s: s.k, default=steps[0])
    above = min((s for s in steps if s.k >= k), key=lambda s: s.k, default=below)
    if above.k <= below.k:
        return above.settings
    part = math.log(k / below.k) / math.log(above.k / below.k)

    def mean(name: str) -> float | None:
        low, high = getattr(below.settings, name), getattr(above.settings, name)
        if low is None or high is None:
            return None if low is high else float(low or high)
        return float(low * (high / low) ** part)

    linked = None not in (below.settings.seed_nprobe, above.settings.seed_nprobe)
    return SearchSettings(
        nprobe=_whole(mean("nprobe")),
        ef_search=_whole(mean("ef_search")),
        k_factor=mean("k_factor"),
        seed_nprobe=_whole(mean("seed_nprobe")) if linked else None,
    )


def _whole(value: float | None) -> int | None:
    return None if value is None else math.ceil(value - 1e-9)
