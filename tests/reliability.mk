# make reliability  causes every kind of fault under load and counts what clients saw (half an hour)
#
# ROWS="kill-* chaos" chooses, ROWS=pairs takes two events at once, SEED=N repeats, CHAOS=SECONDS sets the length of the chaos.

ROWS ?= *
RELIABILITY := BUILD=$(abspath $(BUILD)) python3 tests/reliability/run.py

reliability: all bench-tools
	$(RELIABILITY) $(if $(SEED),--seed $(SEED)) $(if $(CHAOS),--chaos $(CHAOS)) $(foreach row,$(ROWS),'$(row)')

.PHONY: reliability
