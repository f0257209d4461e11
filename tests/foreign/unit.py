"""unit.py MODULE OUT - runs one of CPython's test modules and appends a line of JSON to OUT for each thing that
happens, at once, so that what a hang or a crash leaves behind is true. Tests that OUT names already are left out:
started again with the same OUT it goes on behind the test that ended it."""
import faulthandler
import json
import os
import sys
import unittest

from test import support

TEST_SECONDS = 60
# "network" is the internet for some modules: only where none can be reached.
RESOURCES = ["cpu", "subprocess", "walltime"] + (["network"] if os.environ.get("FOREIGN_ISOLATED") else [])


class Result(unittest.TestResult):
    def __init__(self, out):
        super().__init__()
        self.out = out

    def note(self, test, outcome, detail=""):
        self.out.write(json.dumps([test.id(), outcome, detail]) + "\n")
        self.out.flush()

    def startTest(self, test):
        super().startTest(test)
        faulthandler.dump_traceback_later(TEST_SECONDS, exit=True)
        self.note(test, "start")

    def stopTest(self, test):
        faulthandler.cancel_dump_traceback_later()
        super().stopTest(test)

    def addSuccess(self, test):
        self.note(test, "pass")

    def addExpectedFailure(self, test, err):
        self.note(test, "pass")

    def addUnexpectedSuccess(self, test):
        self.note(test, "fail", "unexpected success")

    def addSkip(self, test, reason):
        self.note(test, "skip", reason)

    def addFailure(self, test, err):
        self.note(test, "fail", self._exc_info_to_string(err, test))

    addError = addFailure

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.addFailure(test, err)


# Waits for ever where a virtual machine has no loopback of this kind.
LEFT_OUT = ("ThreadedVSOCKSocketStreamTest",)


def is_left_out(test):
    return any(name in test.id() for name in LEFT_OUT)


def remaining(suite, done):
    """The same tree of suites, whose order and class set-ups matter, without what was done."""
    left = type(suite)()
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            left.addTest(remaining(test, done))
        elif test.id() not in done and not is_left_out(test):
            left.addTest(test)
    return left


def names_in(path):
    if not os.path.exists(path):
        return set()
    with open(path) as lines:
        return {json.loads(line)[0] for line in lines}


def main():
    module, path = sys.argv[1:]
    support.use_resources = RESOURCES
    suite = unittest.defaultTestLoader.loadTestsFromName("test." + module)
    suite = remaining(suite, names_in(path))
    with open(path, "a") as out:
        suite.run(Result(out))
        out.write(json.dumps(["", "end", ""]) + "\n")


if __name__ == "__main__":
    main()
