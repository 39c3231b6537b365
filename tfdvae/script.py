"""What the scripts have in common: whatever ends one early becomes a sentence and an exit status."""

import sys

from .errors import Fault, InputError
from .interrupts import Interrupted, Interrupts


def exit_status(name, work, refusals, kept=None):
    """Call a script's work and return its exit status: 2 for what the user can mend, 1 for what the machine did, 128 + n for a signal.

    Args:
        name: of the script, which stands before each sentence.
        work: function of `Interrupts`.
        refusals: exceptions that, like InputError, are for the user to mend.
        kept: sentence on what an interrupted script leaves behind; None has the interruption tell it.
    """
    interrupts = Interrupts()
    try:
        with interrupts.handled():
            work(interrupts)
    except (InputError, *refusals) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    except Fault as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    except Interrupted as interrupted:
        print(f"\n{name}: stopped by {interrupted.what}. {kept or interrupted.kept}", file=sys.stderr)
        return interrupted.exit_status
    return 0
