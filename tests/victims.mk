# victims.mk - the strange servers of tests/victims_*.bats. Included by Makefile; uses its variables.

VICTIMS := $(patsubst tests/progs/%.c,$(BUILD)/tests/progs/%,$(wildcard tests/progs/victim_*.c))

# They stand for other people's servers: never with a sanitizer.
$(VICTIMS): $(BUILD)/tests/progs/%: tests/progs/%.c tests/progs/victim.h
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(WARN) $(CPPFLAGS) -O1 -g -pthread -o $@ $<

$(BUILD)/tests/progs/preload.so: tests/progs/preload.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(WARN) $(CPPFLAGS) -O1 -shared -fPIC -o $@ $<

test-progs: $(VICTIMS) $(BUILD)/tests/progs/preload.so
