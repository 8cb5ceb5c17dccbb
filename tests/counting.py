"""Progress that a test can look at."""


class Counting:
    """Keeps what it is told."""

    def __init__(self):
        self.begun, self.done, self.lines = [], [], []

    def begins(self, what, total, unit):
        self.begun.append((what, total, unit))

    def advances(self, units):
        self.done.append(units)

    def tells(self, line):
        self.lines.append(line)
