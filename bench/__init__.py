"""Speed, as ratios within one run: `python -m bench`. Never part of a timed test, because machines are noisy."""
