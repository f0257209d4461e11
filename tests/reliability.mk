# make reliability  causes every kind of fault under load and counts what clients saw (half an hour)
#
# ROWS="kill-* chaos" chooses, ROWS=pairs takes two events at once, SEED=N repeats, CHAOS=SECONDS sets the length of the chaos.

ROWS ?= *
RELIABILITY := BUILD=$(abspath $(BUILD)) python3 tests/reliability/run.py

# A broker that is killed at a chosen write of its journal.
CRASH_WRITES := publish_snapshot release_counts set_keeper begin_upgrade end_upgrade mark_clean reserve_counts note_closing take_closing

$(BUILD)/tests/sshim-crash: tests/reliability/crash_points.c $(BROKER_OBJECTS)
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(WARN) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(SANFLAGS) -o $@ $^ $(CRASH_WRITES:%=-Wl,--wrap=journal_%)

test-progs: $(BUILD)/tests/sshim-crash

reliability: all bench-tools $(BUILD)/tests/sshim-crash
	$(RELIABILITY) $(if $(SEED),--seed $(SEED)) $(if $(CHAOS),--chaos $(CHAOS)) $(foreach row,$(ROWS),'$(row)')

.PHONY: reliability
