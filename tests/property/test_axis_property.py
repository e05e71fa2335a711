"""Whatever was measured has a place on an axis, and the axis has numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.svg import Axis

ENDS = st.tuples(st.floats(1e-6, 1e9), st.floats(1e-6, 1e9) | st.just(0.0)).map(lambda two: (two[0], sum(two)))


@given(ends=ENDS, log=st.booleans(), below_zero=st.booleans())
def test_an_axis_has_places_and_ticks(*, ends: tuple[float, float], log: bool, below_zero: bool) -> None:
    """From a point to fifteen decades: its ends are on it, and two ticks at least, ascending, none beyond the ends."""
    low, high = (-ends[1], -ends[0]) if below_zero and not log else ends
    axis = Axis(low=low, high=high, start=100, end=900, log=log)
    assert 99.99 < axis(low) <= axis(high) < 900.01
    places = [axis(tick) for tick in axis.ticks()]
    assert len(places) >= 2
    assert places == sorted(places)
    assert 99.99 < places[0] < places[-1] < 900.01
