"""What a rule that is not live would have done: who, when, against what, and would they have bought anyway?

question -> one task a part of the past -> findings, added up -> report -> terminal, HTML, JSON
"""
