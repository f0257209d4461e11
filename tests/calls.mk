# calls.mk - the differential test of tests/calls.bats. Included by Makefile; uses its variables.

$(BUILD)/tests/calls: $(wildcard tests/calls/*.c) tests/calls/calls.h
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(WARN) -Wno-stringop-overflow -Wno-nonnull $(CPPFLAGS) -O1 -g -o $@ $(filter %.c,$^)

test-progs: $(BUILD)/tests/calls

# make stack      how much of the program's stack each call takes, and whether libsshim(7) says so
stack: all
	@LIBRARY=$(BUILD)/libsshim.so scripts/stack.sh $(BUILD)/stack

.PHONY: stack
