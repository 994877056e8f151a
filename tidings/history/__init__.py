"""The past, person by person, however long it is: GroupByKey on disk, with memory that does not grow.

    sources -> units -> scatter -> parts of anonymous ids -> follow -> parts of people -> one task a part
                        (by id)                              (who owns what they did)

A part is small enough to be held in memory; how many there are depends on the size of the past alone, so the same past
gives the same answer on any number of processes.
"""
