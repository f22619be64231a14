"""Values that every layer shares."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from search_back.types import IdMask


@given(st.lists(st.booleans(), max_size=70))
def test_a_mask_of_ids_holds_what_it_was_made_of(passing: list[bool]) -> None:
    mask = IdMask.of(np.array(passing, dtype=np.bool_))

    assert mask.passing.tolist() == passing
    assert mask.ids.tolist() == [i for i, passes in enumerate(passing) if passes]
    assert mask.count == sum(passing)
    assert len(mask.bits) == (len(passing) + 7) // 8
