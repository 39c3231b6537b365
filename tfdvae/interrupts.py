"""Ctrl-C and SIGTERM: end after the current step while training, at once anywhere else."""

import contextlib
import signal

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(BaseException):
    """A signal asked the process to end. Like KeyboardInterrupt, it is no error that a handler of errors should catch."""

    def __init__(self, number):
        super().__init__(number)
        self.number = number
        self.exit_status = 128 + number
        self.kept = "Nothing is kept."  # said anew where something is
        self.what = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name


class Interrupts:
    """Turn signals into `Interrupted`, raised at once; or, in a `deferred` stretch, at its next `check`. A second signal does not wait."""

    def __init__(self):
        self.deferring, self.pending = False, None

    @contextlib.contextmanager
    def handled(self):
        """Handle signals here, and as before afterwards."""
        before = {number: signal.signal(number, self._receive) for number in SIGNALS}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def deferred(self):
        """Let a signal wait for the next `check`, or for the end of this stretch."""
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
        self.pending = number  # kept in any case: Python drops an exception that is raised while it finalises some object
        if not waits:
            raise Interrupted(number)
