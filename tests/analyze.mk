# analyze.mk - what compilers' analysers and cppcheck find in the sources. Included by Makefile; uses its variables.

# make analyze    runs the analysers of gcc and clang, and cppcheck; fails if tests/analyze/known.txt does not explain a finding
ANALYZED         := $(BROKER) $(SHIM) $(PROTO)
ANALYZED_HEADERS := $(wildcard $(addsuffix /*.h,$(sort $(dir $(ANALYZED)))))
ANALYZE_FLAGS    := -std=gnu11 $(CPPFLAGS) -O1 -g -fPIC -include proto/platform.h
ANALYZE_LOGS     := $(foreach tool,gcc clang cppcheck,$(ANALYZED:%.c=$(BUILD)/analyze/$(tool)/%.txt))

# Each writes lines of one form: FILE:LINE:COLUMN: warning: TEXT [CHECKER]
$(BUILD)/analyze/gcc/%.txt: %.c $(ANALYZED_HEADERS)
	@mkdir -p $(@D)
	@gcc $(ANALYZE_FLAGS) -fanalyzer -fdiagnostics-plain-output -c -o $(@:.txt=.o) $< 2>$@.new && mv $@.new $@

$(BUILD)/analyze/clang/%.txt: %.c $(ANALYZED_HEADERS)
	@mkdir -p $(@D)
	@clang $(ANALYZE_FLAGS) --analyze --analyzer-output text -o /dev/null $< 2>$@.new && mv $@.new $@

$(BUILD)/analyze/cppcheck/%.txt: %.c $(ANALYZED_HEADERS)
	@mkdir -p $(@D)
	@cppcheck --quiet --std=c11 --enable=warning,performance,portability $(CPPFLAGS) --include=tests/analyze/queue.h \
		--template='{file}:{line}:{column}: warning: {message} [{id}]' --template-location='' $< 2>$@.new && mv $@.new $@

analyze:
	@scripts/deps.sh analyze
	@$(MAKE) -s $(ANALYZE_LOGS)
	@scripts/analyze.sh $(BUILD)/analyze $(words $(ANALYZED))

.PHONY: analyze
