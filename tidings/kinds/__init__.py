"""The table of trigger kinds. A new kind is one new file beside this one, and one line here."""

from tidings.kinds import not_performed, performed
from tidings.kinds.base import KindEntry

KINDS: dict[str, KindEntry] = {
    "performed": KindEntry(performed.PerformedDocument, performed.build),
    "not_performed": KindEntry(not_performed.NotPerformedDocument, not_performed.build),
}
