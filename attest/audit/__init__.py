"""Whole repositories at a glance: who signed what for whom, what is unsigned, what is odd. It judges by `history`."""
