"""Handle Ctrl-C and SIGTERM: training ends after its current step, all other work ends at once."""

import contextlib
import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """A signal asked the process to end. It is no `Exception`, so `except Exception` does not catch it."""

    def __init__(self, number):
        super().__init__(number)
        self.number = number
        self.exit_status = 128 + number
        self.kept = "Nothing is kept."  # a caller that keeps something replaces this
        self.what = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name


class Interrupts:
    """Raise `Interrupted` at a signal: at once, or in a `deferred` block at the next `check`. A second signal does not wait."""

    def __init__(self):
        self.deferring, self.pending = False, None

    @contextlib.contextmanager
    def handled(self):
        """Handle signals in this block; restore the earlier handlers after it."""
        before = {number: signal.signal(number, self._receive) for number in SIGNALS}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def deferred(self):
        """Let a signal wait for the next `check`, or for the end of this block."""
        self.deferring = True
        try:
            yield
        finally:
            self.deferring = False
        self.check()

    def check(self):
        """Raise `Interrupted` where a signal is waiting."""
        if self.pending is not None:
            raise Interrupted(self.pending)

    def _receive(self, number, frame):
        waits = self.deferring and self.pending is None
        self.pending = number  # set in any case: Python drops an exception that is raised in a finaliser
        if not waits:
            raise Interrupted(number)
