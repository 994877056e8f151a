"""What a rule leaves to a default that its author may not have had in mind."""

from collections.abc import Iterator

from tidings.checking.findings import Remark
from tidings.rules.rule import Rule
from tidings.rules.surroundings import FrequencyCap


def in_rule(rule: Rule) -> Iterator[Remark]:
    """Defaults that a rule had better spell out, and fields that have no effect."""
    given = rule.model_fields_set
    if rule.kind == "marketing":
        if "category" not in given:
            reason = 'is not said, so people can opt out of it only with all "marketing"; name what it is about'
            yield Remark("category", None, reason)
        if rule.frequency_cap == "off" and rule.re_entry == "every_time":
            reason = "and no re_entry: nothing keeps it from writing to the same person again and again"
            yield Remark("frequency_cap", "off", reason)
    elif isinstance(rule.frequency_cap, FrequencyCap):
        yield Remark("frequency_cap", None, "has no effect: transactional mail is never capped")
