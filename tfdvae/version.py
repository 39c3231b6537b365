"""The version of the package, and that of the run folder."""

__version__ = "0.5.0"

FORMAT = 2  # of the run folder; CHANGELOG.md says what each format changed
