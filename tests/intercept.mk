# intercept.mk - programs that no library can be preloaded into. Included by Makefile; uses its variables.

UNLOADED := $(addprefix $(BUILD)/tests/unloaded/,victim victim-musl narrow notified)

$(BUILD)/tests/unloaded/victim: tests/progs/victim.c tests/progs/netaddr.h
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(WARN) $(CPPFLAGS) -O1 -g -pthread -static -o $@ $<

$(BUILD)/tests/unloaded/victim-musl: tests/progs/victim.c tests/progs/netaddr.h
	@mkdir -p $(@D)
	musl-gcc -std=gnu11 -Wall -Wextra $(CPPFLAGS) -O1 -g -static -o $@ $<

# No library at all, and 32 bits where the machine runs them.
$(BUILD)/tests/unloaded/narrow: tests/progs/narrow.c
	@mkdir -p $(@D)
	$(if $(filter x86_64,$(shell uname -m)),$(CC) -std=gnu11 -Wall -Wextra -m32 -O1 -static -nostdlib -ffreestanding \
		-fno-stack-protector -fno-pic -no-pie -o $@ $<,touch $@)

$(BUILD)/tests/unloaded/notified: tests/progs/notified.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(WARN) $(CPPFLAGS) -O1 -g -pthread -o $@ $<

test-progs: $(UNLOADED)
