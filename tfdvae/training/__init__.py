"""One training, from parameters to a run folder."""
