"""Entry point: read the options, build the graph, run it. Nothing that is pickled may be defined here."""

import logging
import sys
from collections.abc import Sequence

from apache_beam.options.pipeline_options import PipelineOptions

from pipeline import processes
from pipeline.options import TidingsOptions


def main(argv: Sequence[str] | None = None) -> None:
    """Run until the input ends, which a subscription never does.

    Raises:
        OptionsError: the options contradict each other; the message says how to mend them.
        PartFailedError: in the bounded form on several processes, one of them failed.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    processes.run(argv, PipelineOptions(argv).view_as(TidingsOptions).settings())


if __name__ == "__main__":
    main()
