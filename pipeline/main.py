"""Entry point: read the options, build the graph, run it. Nothing that is pickled may be defined here."""

import logging
import sys
from collections.abc import Sequence

from apache_beam import Pipeline
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from pipeline import graph, local_runner
from pipeline.options import TidingsOptions


def main(argv: Sequence[str] | None = None) -> None:
    """Run until the input ends, which a subscription never does.

    Raises:
        OptionsError: the options contradict each other; the message says how to mend them.
    """
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    options = PipelineOptions(argv)
    settings = options.view_as(TidingsOptions).settings()
    local_runner.prepare(options.view_as(StandardOptions).runner or "", settings)
    pipeline = Pipeline(options=options)
    graph.build(pipeline, settings)
    result = pipeline.run()
    logging.getLogger("pipeline").info("pipeline is running")
    result.wait_until_finish()


if __name__ == "__main__":
    main()
