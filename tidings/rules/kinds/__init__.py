"""The table of trigger kinds. A new kind is one new file beside this one, and one line here."""

from tidings.rules.kinds import inactive, not_performed, performed, score, segment, sequence, session_ended
from tidings.rules.kinds.base import KindEntry

KINDS: dict[str, KindEntry] = {
    "performed": KindEntry(performed.PerformedDocument, performed.build),
    "not_performed": KindEntry(not_performed.NotPerformedDocument, not_performed.build),
    "sequence": KindEntry(sequence.SequenceDocument, sequence.build),
    "session_ended": KindEntry(session_ended.SessionEndedDocument, session_ended.build),
    "inactive": KindEntry(inactive.InactiveDocument, inactive.build),
    "score": KindEntry(score.ScoreDocument, score.build),
    "segment": KindEntry(segment.SegmentDocument, segment.build),
}
