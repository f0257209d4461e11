# hostile.mk - the attackers of tests/hostile. Included by Makefile; uses its variables.

HOSTILE := $(patsubst tests/hostile/%.c,$(BUILD)/tests/hostile/%,$(filter-out %/old_kernel.c,$(wildcard tests/hostile/*.c)))

# Static: they speak for themselves, even where LD_PRELOAD is set.
$(BUILD)/tests/hostile/%: tests/hostile/%.c tests/hostile/hostile.h $(PROTO)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(WARN) $(CPPFLAGS) -O1 -g -pthread -static -o $@ $< $(PROTO)

$(BUILD)/tests/hostile/old_kernel.so: tests/hostile/old_kernel.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -D_GNU_SOURCE $(WARN) -O1 -shared -fPIC -o $@ $< -ldl

test-progs: $(HOSTILE) $(BUILD)/tests/hostile/old_kernel.so

# With the broker's own journal.
$(BUILD)/tests/turns: tests/progs/turns.c $(BUILD)/obj/broker/base/journal.o $(BUILD)/obj/broker/base/loop/fds.o
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(WARN) $(CPPFLAGS) -O1 -g $(SANFLAGS) -o $@ $^

test-progs: $(BUILD)/tests/turns

# make hostile    attacks a pool beside honest clients and prints what that costs them; HOSTILE_SECONDS each
HOSTILE_SECONDS ?= 5
hostile: all test-progs
	python3 tests/hostile/figures.py $(BUILD) . $(HOSTILE_SECONDS)

.PHONY: hostile
