# coverage.mk - which lines and branches of broker and library the tests run. Included by Makefile.

# make coverage   measures which lines and branches unit tests and bats files run; BATS= chooses files
#
# Processes under test are killed, replace themselves and lose their environment: each counts in a file that it maps
# (%c), one for each program (%m), whose name is compiled in. Who may not open it counts nothing and says so on stderr.
COVERAGE       := $(abspath $(BUILD))/coverage
COVERAGE_FLAGS := -fprofile-instr-generate=$(COVERAGE)/raw/%m%c.profraw -fcoverage-mapping -mllvm -runtime-counter-relocation
COVERAGE_MAKE  := $(MAKE) -s BUILD=$(COVERAGE) CC=clang CFLAGS='-O1 -g $(COVERAGE_FLAGS)' LDFLAGS=-fprofile-instr-generate

coverage:
	@scripts/deps.sh coverage
	+@$(COVERAGE_MAKE) all test-progs unit-build
	@scripts/coverage.sh $(COVERAGE) $(filter-out tests/limits.bats tests/syscalls.bats tests/musl.bats tests/m32.bats,$(BATS))

.PHONY: coverage
