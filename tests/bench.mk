# bench.mk - the load program, the reference servers and the measurements. Included by Makefile; uses its variables.
#
# make bench        measures sshim beside its alternatives (about 20 minutes); results in build/bench
# make bench-quick  measures the same in under three minutes, coarser
# make bench BASE=REV   measures beside an earlier commit, built in build/base
# BENCH=... passes options on, see tests/bench/bench.py --help

BENCH_TOOLS   := $(BUILD)/bench/load $(BUILD)/bench/server $(BUILD)/bench/reuseport.so
BENCH_OBJECTS := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard tests/bench/*.c))

# The servers stand for other people's, and the load for their clients: never with a sanitizer.
$(BENCH_OBJECTS): SANFLAGS :=

bench-tools: $(BENCH_TOOLS)

test-progs: bench-tools

$(BUILD)/bench/load: $(addprefix $(BUILD)/obj/tests/bench/,load.o conn.o histogram.o address.o)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^ -lm

$(BUILD)/bench/server: $(addprefix $(BUILD)/obj/tests/bench/,server.o serve.o whims.o address.o)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) -o $@ $^

$(BUILD)/bench/reuseport.so: tests/bench/reuseport.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -Wall -Wextra $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) -fPIC -shared -o $@ $<

ifdef BASE
BASE_SSHIM := $(abspath $(BUILD))/base/$(shell git rev-parse --short $(BASE))/build/sshim

# The earlier commit's own makefile builds it.
$(BASE_SSHIM): BASE_TREE = $(@:/build/sshim=)
$(BASE_SSHIM):
	@mkdir -p $(BASE_TREE)
	git archive $(BASE) | tar -x -C $(BASE_TREE)
	$(MAKE) -C $(BASE_TREE) BUILD=build all

bench bench-quick: $(BASE_SSHIM)
bench bench-quick: export BASE_SSHIM := $(BASE_SSHIM)
endif

bench: all bench-tools
	BUILD=$(abspath $(BUILD)) python3 -B tests/bench/bench.py --install $(BENCH)

bench-quick: all bench-tools
	BUILD=$(abspath $(BUILD)) python3 -B tests/bench/bench.py --install --quick $(BENCH)

-include $(BENCH_OBJECTS:.o=.d)

.PHONY: bench-tools bench bench-quick
