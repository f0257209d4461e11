# calls.mk - the differential test of tests/calls.bats. Included by Makefile; uses its variables.

$(BUILD)/tests/calls: $(wildcard tests/calls/*.c) tests/calls/calls.h
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(WARN) -Wno-stringop-overflow -Wno-nonnull $(CPPFLAGS) -O1 -g -o $@ $(filter %.c,$^)

test-progs: $(BUILD)/tests/calls

# make stack      measures the stack that each hooked call takes, and compares libsshim(7)
stack: all
	@LIBRARY=$(BUILD)/libsshim.so scripts/stack.sh $(BUILD)/stack

.PHONY: stack
