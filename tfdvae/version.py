"""The version of the package, and that of the run folder."""

__version__ = "0.7.0"

FORMAT = 3  # of the run folder; CHANGELOG.md says what each format changed
