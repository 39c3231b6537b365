"""The version of the package, and that of the run folder."""

__version__ = "0.8.0"

FORMAT = 4  # of the run folder; CHANGELOG.md says what each format changed
