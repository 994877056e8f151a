"""The Apache Beam shell. `graph.py` is the whole pipeline on one page."""
