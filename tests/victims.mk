# victims.mk - the strange servers of tests/victims_*.bats. Included by Makefile; uses its variables.
# make direct     runs all test servers under --handoff direct

VICTIMS := $(patsubst tests/progs/%.c,$(BUILD)/tests/progs/%,$(wildcard tests/progs/victim_*.c))

# They stand for other people's servers: never with a sanitizer.
$(VICTIMS): $(BUILD)/tests/progs/%: tests/progs/%.c tests/progs/victim.h
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(WARN) $(CPPFLAGS) -O1 -g -pthread -Wl,-rpath,'$$ORIGIN' -o $@ $<

LOADED := $(BUILD)/tests/progs/preload.so $(BUILD)/tests/progs/module.so $(BUILD)/tests/progs/by_number.so $(BUILD)/tests/progs/refuses_fds.so $(BUILD)/tests/progs/past_accept.so $(BUILD)/tests/progs/late_connect.so
JUMPS := $(BUILD)/tests/progs/by_number-jump.so

$(LOADED): $(BUILD)/tests/progs/%.so: tests/progs/%.c tests/progs/victim.h
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(WARN) $(CPPFLAGS) -O1 -shared -fPIC -o $@ $<

# Once more so that each function ends by a jump to syscall().
$(JUMPS): tests/progs/by_number.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(WARN) $(CPPFLAGS) -O2 -foptimize-sibling-calls -shared -fPIC -o $@ $<

test-progs: $(VICTIMS) $(LOADED) $(JUMPS)

# One of them once more for musl.
$(BUILD)/tests/progs/victim_wait-musl: tests/progs/victim_wait.c tests/progs/victim.h
	@mkdir -p $(@D)
	musl-gcc -std=gnu11 -Wall -Wextra $(CPPFLAGS) -O1 -g -o $@ $<

test-progs: $(BUILD)/tests/progs/victim_wait-musl musl
.PHONY: musl

# And for 32 bits, with either size of time_t.
M32_VICTIMS := $(BUILD)/tests/progs/victim_wait-m32 $(BUILD)/tests/progs/victim_wait-m32-time64
$(M32_VICTIMS): tests/progs/victim_wait.c tests/progs/victim.h
	@mkdir -p $(@D)
	$(M32_CC) -std=gnu11 $(WARN) $(CPPFLAGS) $(if $(findstring time64,$@),-D_FILE_OFFSET_BITS=64 -D_TIME_BITS=64) -O1 -g -pthread -o $@ $<

test-progs: $(M32_VICTIMS) m32

# Every victim once more where all copies share one open socket; tests/direct.bats is the short form of it.
direct: all test-progs
	VICTIM_OPTIONS="--handoff direct" BUILD=$(BUILD) bats $(wildcard tests/victims_*.bats) tests/waiting.bats tests/listeners.bats

.PHONY: direct
