# checks.mk - the targets of the general tests. Included by Makefile; uses its variables.

TEST_PROGS := $(addprefix $(BUILD)/tests/,victim probe static secure)
UNIT_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(wildcard tests/unit/test_*.c tests/unit/shim/test_*.c))
FUZZERS    := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_SECONDS ?= 60

# Unit tests and fuzz targets see the broker without its main() and the shim's parts that call nothing above them.
UNIT_SHIM    := shim/base/fdmap.c shim/base/fdroom.c shim/base/next.c shim/base/userptr.c
UNIT_OBJECTS := $(filter-out $(BUILD)/obj/broker/main.o $(BUILD)/obj/broker/operate/run.o,$(BROKER_OBJECTS))

# Those of tests/unit/shim see the library without its hooks: what they call is the C library's.
SHIM_UNIT_OBJECTS := $(filter-out $(BUILD)/pic/shim/hooks/% $(BUILD)/pic/shim/init.o,$(SHIM_OBJECTS))

test-progs: $(TEST_PROGS)

# The programs stand for other people's servers: never with a sanitizer.
$(BUILD)/tests/%: tests/progs/%.c tests/progs/netaddr.h
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(WARN) $(CPPFLAGS) -O1 -g -pthread $(TEST_LDFLAGS) -o $@ $<

$(BUILD)/unit/shim/%: tests/unit/shim/%.c tests/unit/shim/record.h tests/unit/unit.h $(SHIM_UNIT_OBJECTS)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(WARN) $(CPPFLAGS) $(CFLAGS) $(SANFLAGS) -o $@ $< $(SHIM_UNIT_OBJECTS)

$(BUILD)/unit/%: tests/unit/%.c tests/unit/unit.h $(UNIT_SHIM) $(UNIT_OBJECTS)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(WARN) $(CPPFLAGS) $(CFLAGS) $(SANFLAGS) -o $@ $< $(UNIT_SHIM) $(UNIT_OBJECTS)

$(BUILD)/tests/static: TEST_LDFLAGS := -static

unit-build: $(UNIT_TESTS)

unit: $(UNIT_TESTS)
	@for test in $(UNIT_TESTS); do $$test || exit 1; done

# make tsan       runs the unit tests that start threads, under ThreadSanitizer
TSAN_TESTS := $(patsubst tests/unit/%.c,$(BUILD)/tsan/%,$(shell grep -l pthread_create tests/unit/*.c))

# What they include is all that they need: no object of the broker has threads.
$(BUILD)/tsan/%: tests/unit/%.c tests/unit/unit.h shim/base/fdmap.c $(PROTO)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(WARN) $(CPPFLAGS) -O1 -g -fsanitize=thread -o $@ $< shim/base/fdmap.c $(PROTO)

# It wants addresses that the kernel gives only where they are not random.
tsan: $(TSAN_TESTS)
	@for test in $(TSAN_TESTS); do TSAN_OPTIONS=halt_on_error=1 setarch -R $$test || exit 1; done

# Every input of the corpus once, with any compiler.
$(BUILD)/fuzz/replay-%: tests/fuzz/fuzz_%.c tests/fuzz/replay.c $(UNIT_OBJECTS)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(WARN) $(CPPFLAGS) $(CFLAGS) $(SANFLAGS) $(FUZZ_LDFLAGS) \
		-o $@ $< tests/fuzz/replay.c $(UNIT_OBJECTS)

# What a command would do is played by the target.
$(BUILD)/fuzz/replay-control $(BUILD)/fuzz/fuzz-control: FUZZ_LDFLAGS := \
	-Wl,--wrap=stop_begin,--wrap=stop_announce,--wrap=slot_start_worker,--wrap=deputy_fork,--wrap=connect

# The calling process and the claim are.
NOTIFY_PLAYED := syscall closer_close channel_messages_on_listen grant_open worker_close_channel worker_uncount_port_zero \
	$(addprefix notify_,worker is_valid process fetch_fd install_fd peek continue answer retry settle) \
	$(addprefix bind_,name file listening_file give_up_unused)
$(BUILD)/fuzz/replay-notify $(BUILD)/fuzz/fuzz-notify: FUZZ_LDFLAGS := $(NOTIFY_PLAYED:%=-Wl,--wrap=%)

fuzz-replay: $(FUZZERS:%=$(BUILD)/fuzz/replay-%)
	@for name in $(FUZZERS); do $(BUILD)/fuzz/replay-$$name tests/fuzz/corpus/$$name/* || exit 1; done

# libFuzzer builds everything once more with coverage.
$(BUILD)/fuzz/fuzz-%: tests/fuzz/fuzz_%.c $(BROKER) $(PROTO)
	@mkdir -p $(@D)
	clang -std=gnu11 $(CPPFLAGS) -include proto/platform.h -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined $(FUZZ_LDFLAGS) -o $@ \
		$< $(filter-out broker/main.c broker/operate/run.c,$(BROKER)) $(PROTO)

fuzz: $(FUZZERS:%=$(BUILD)/fuzz/fuzz-%)
	@for name in $(FUZZERS); do \
		mkdir -p $(BUILD)/fuzz/corpus-$$name && \
		$(BUILD)/fuzz/fuzz-$$name -max_total_time=$(FUZZ_SECONDS) -max_len=4200 -close_fd_mask=3 \
			-artifact_prefix=$(BUILD)/fuzz/$$name- $(BUILD)/fuzz/corpus-$$name tests/fuzz/corpus/$$name || exit 1; \
	done

# make fuzz-talk  sends random messages of workers to a broker with sanitizers, for FUZZ_SECONDS; TALK_SEED=N repeats
fuzz-talk:
	$(MAKE) BUILD=build/asan SAN=address,undefined all test-progs
	TALK_SECONDS=$(FUZZ_SECONDS) TALK_SEED=$${TALK_SEED:-$$(date +%s)} BUILD=build/asan bats tests/hostile_fuzz.bats

check:
	scripts/check.sh

# One bats file, or all: make bats BATS=tests/cli.bats
BATS ?= $(sort $(wildcard tests/*.bats))
bats: all test-progs
	BUILD=$(BUILD) bats $(BATS)

.PHONY: test-progs unit unit-build tsan fuzz-replay fuzz fuzz-talk check bats
