# instrument.mk - a build that notes each of its calls. Included by Makefile; uses its variables.

# make count-calls  counts the calls and files that one idle connection needs; COUNT=-v lists the calls
INSTRUMENT := $(BUILD)/instrument

$(INSTRUMENT)/recorder-%.o: tests/instrument/recorder.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(WARN) $(CPPFLAGS) -O1 -g -fPIC -fvisibility=hidden $(RECORDER_FLAGS) -c -o $@ $<

$(INSTRUMENT)/recorder-broker.o: RECORDER_FLAGS := -DRECORDED='"sshim"' -DRECORDS_WAITS
$(INSTRUMENT)/recorder-library.o: RECORDER_FLAGS := -DRECORDED='"libsshim.so"'

# addr2line of binutils 2.40 names the wrong file for an inline function of a header in DWARF 5.
INSTRUMENTED = $(MAKE) -s BUILD=$(INSTRUMENT) CFLAGS='-O0 -gdwarf-4 -finstrument-functions'

count-calls: $(INSTRUMENT)/recorder-broker.o $(INSTRUMENT)/recorder-library.o
	+@$(INSTRUMENTED) LDFLAGS='$(abspath $(INSTRUMENT))/recorder-broker.o -Wl,--wrap=epoll_wait' $(INSTRUMENT)/sshim
	+@$(INSTRUMENTED) LDFLAGS='$(abspath $(INSTRUMENT))/recorder-library.o' $(INSTRUMENT)/libsshim.so
	@python3 -B tests/instrument/count.py $(INSTRUMENT) $(COUNT)

.PHONY: count-calls
