"""A report as one HTML page that opens without a network: styles, charts and mails are all in it."""

from tidings.backtest.report import Report


def render(report: Report) -> str:
    """The page."""
    raise NotImplementedError
