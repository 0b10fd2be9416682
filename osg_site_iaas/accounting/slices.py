"""From intervals to slices: what one usage record tells. Pure.

GRACC charges a record wholly to the UTC day in which it ends, so a slice never reaches over 00:00 UTC; and a
record has one number of processors, so it never reaches over a change of size.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Iterator, Sequence

from osg_site_iaas.accounting.model import DAY, Assumed, Interval, Server, Slice, State, midnight_after
from osg_site_iaas.accounting.usage import history

_AT_BEGIN = frozenset({Assumed.STATE, Assumed.START})
_AT_END = frozenset({Assumed.END})


def closed(server: Server, since: int, until: int) -> tuple[Slice, ...]:
    """The server's slices from ``since`` on that nothing after ``until`` can change.

    A slice is closed by midnight, by a change of size or by the server's end, whichever comes first.
    """
    pieces = tuple(_pieces(history(server, until), since))
    slices = []
    begin = 0
    for index, piece in enumerate(pieces):
        following = pieces[index + 1] if index + 1 < len(pieces) else None
        if following is None or following.size != piece.size or piece.end % DAY == 0:
            slices.append(_slice(server, pieces[begin : index + 1]))
            begin = index + 1
    if slices and slices[-1].end % DAY and not slices[-1].final:
        slices.pop()
    return tuple(slices)


def _pieces(intervals: Sequence[Interval], since: int) -> Iterator[Interval]:
    """The intervals from ``since`` on, cut at every midnight."""
    for whole in intervals:
        start = max(whole.start, since)
        while start < whole.end:
            end = min(whole.end, midnight_after(start))
            marks = whole.assumed
            if start > whole.start:
                marks -= _AT_BEGIN
            if end < whole.end:
                marks -= _AT_END
            yield Interval(start, end, whole.state, whole.size, whole.place, marks)
            start = end


def _slice(server: Server, pieces: Sequence[Interval]) -> Slice:
    seconds: dict[State, int] = {}
    assumed: frozenset[Assumed] = frozenset()
    for piece in pieces:
        seconds[piece.state] = seconds.get(piece.state, 0) + piece.seconds
        assumed |= piece.assumed
    wall = seconds.pop(State.ACTIVE, 0)
    last = pieces[-1]
    return Slice(
        uuid=server.uuid,
        start=pieces[0].start,
        end=last.end,
        size=last.size,
        wall=wall,
        others=MappingProxyType(seconds),
        last=last.state,
        final=last.end == server.ended,
        assumed=assumed,
        public_ips=max(piece.place.public_ips for piece in pieces),
        volumes=max(piece.place.volumes for piece in pieces),
    )
