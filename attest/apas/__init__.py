"""APAS 0.3.0, as orchestrators of agents write it: dispatches, handoffs between phases, origins of content.

What is read here are claims of whoever wrote them. Predicate types are compared literally and never fetched
(APAS section 3.1).
"""
