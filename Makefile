# make            builds build/sshim and build/libsshim.so
# make demo       runs four copies of a real server and shows that each served
# make picture    draws scripts/picture.svg: what clients see while copies are killed, added, drained, replaced
# make check      runs every test that must pass
# make deps       installs the packages that make demo and make check need (Debian; both call it if one is missing)
# make bats       runs the behaviour tests; BATS=tests/cli.bats runs one file
# make unit       runs the unit tests; make fuzz-replay repeats known hostile input, make fuzz looks for new
# make servers    runs real servers, each by its recipe, and says which work; ROOT=FOLDER SUITE=trixie in another Debian
# make install    installs into PREFIX (/usr/local), below DESTDIR if that is set; make uninstall removes it
# make deb        builds the Debian package into build/deb/, and has lintian look at it
# make clean      removes build/
# make help       prints these lines

CC      ?= cc
STRIP   ?= strip
BUILD   ?= build
PREFIX  ?= /usr/local
CFLAGS  ?= -O2 -g
WARN    := -Wall -Wextra -Wno-psabi -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla -Wundef -Werror=switch
CPPFLAGS += -D_GNU_SOURCE -I.
# SAN=address,undefined builds the broker and the tests with sanitizers; the library only takes UBSan in trap mode.
SAN     ?=
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer)
SHIMSAN := $(if $(findstring undefined,$(SAN)),-fsanitize=undefined -fsanitize-undefined-trap-on-error)

PROTO   := $(wildcard proto/*.c)
SHIM    := $(wildcard shim/*.c shim/*/*.c)
BROKER  := $(wildcard broker/*.c broker/*/*.c broker/*/*/*.c broker/*/*/*/*.c)

SHIM_OBJECTS   := $(patsubst %.c,$(BUILD)/pic/%.o,$(SHIM) $(PROTO))
BROKER_OBJECTS := $(patsubst %.c,$(BUILD)/obj/%.o,$(BROKER) $(PROTO))

# Programs outside the broker, each where its libraries are there (their -dev packages): a link tells. What was found is noted in
# the build folder; what was not is looked for again, since make deps may have installed it.
found = $(BUILD)/found/$(firstword $(1))
has_libraries = $(or $(wildcard $(found)),$(shell echo 'int main(void) { return 0; }' | $(CC) -x c - $(1) -o /dev/null 2>/dev/null && \
	mkdir -p $(dir $(found)) && touch $(found) && echo yes))
METRICS_LIBRARIES := -lmicrohttpd -ljansson
METRICS = $(if $(call has_libraries,$(METRICS_LIBRARIES)),$(BUILD)/sshim-metrics)
METRICS_OBJECTS := $(patsubst %,$(BUILD)/obj/observe/%.o,metrics_main ask exposition usage)

TOP_LIBRARIES := -lncursesw -ltinfo -ljansson
TOP = $(if $(call has_libraries,$(TOP_LIBRARIES)),$(BUILD)/sshim-top)
TOP_OBJECTS := $(patsubst %,$(BUILD)/obj/observe/%.o,top_main screen flow view ask usage)

TRIAL_OBJECTS := $(patsubst %.c,$(BUILD)/obj/%.o,$(wildcard observe/trial/*.c))

OBSERVERS = $(METRICS) $(TOP) $(BUILD)/sshim-trial

# Twice expanded: only a build looks for them.
.SECONDEXPANSION:
all: $(BUILD)/sshim $(BUILD)/libsshim.so $$(OBSERVERS)

$(BUILD)/sshim-top: $(TOP_OBJECTS)
	$(CC) $(LDFLAGS) $(SANFLAGS) -o $@ $^ $(TOP_LIBRARIES)

$(BUILD)/sshim-trial: $(TRIAL_OBJECTS)
	$(CC) $(LDFLAGS) $(SANFLAGS) -o $@ $^

$(BUILD)/sshim-metrics: $(METRICS_OBJECTS)
	$(CC) $(LDFLAGS) $(SANFLAGS) -o $@ $^ $(METRICS_LIBRARIES)

# now: else each child looks its functions up again, between fork and exec
$(BUILD)/sshim: $(BROKER_OBJECTS)
	$(CC) $(LDFLAGS) $(SANFLAGS) -Wl,-z,relro,-z,now -o $@ $^

# -Bsymbolic-functions: a hook that calls another hook means ours, not the one of a library in front of us
# noseparate-code: fewer pages and mappings in each worker
SHIM_LINK := -Wl,-z,noseparate-code -Wl,-z,defs -Wl,-z,relro,-z,now -Wl,-Bsymbolic-functions

$(BUILD)/libsshim.so: $(SHIM_OBJECTS)
	$(CC) $(LDFLAGS) $(SHIMSAN) -shared $(SHIM_LINK) -Wl,-soname,libsshim.so -o $@.debug $^
	$(STRIP) -o $@ $@.debug

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(WARN) $(CPPFLAGS) $(CFLAGS) $(SANFLAGS) -include proto/platform.h -MMD -MP -c -o $@ $<

# A hook has the name that it is written with, whatever the environment says of off_t and time_t.
SHIM_NAMES := -U_FILE_OFFSET_BITS -U_TIME_BITS
# a hook calls the next library and does not jump into it: what asks the kernel from there is known by where it returns
SHIM_CALLS := -fno-optimize-sibling-calls
# each worker maps the text, and none of its loops is long
SHIM_SIZE := -falign-functions=1 -falign-loops=1
# -fexceptions: pthread_cancel unwinds through accept
$(BUILD)/pic/%.o: %.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(WARN) $(CPPFLAGS) $(CFLAGS) $(SHIMSAN) $(SHIM_NAMES) $(SHIM_CALLS) $(SHIM_SIZE) -fPIC -fvisibility=hidden -fexceptions -MMD -MP -c -o $@ $<

# --- other machines
# make cross      builds for other machines with Debian's cross compilers, without warnings
CROSS ?= aarch64-linux-gnu arm-linux-gnueabihf riscv64-linux-gnu s390x-linux-gnu powerpc64le-linux-gnu i686-linux-gnu

cross:
	@scripts/deps.sh cross
	+@for machine in $(CROSS); do \
		$(MAKE) -s BUILD=$(BUILD)/cross/$$machine CC=$$machine-gcc STRIP=$$machine-strip WARN='$(WARN) -Werror' all && echo "built for $$machine" || exit 1; \
	done

# make m32        builds build/libsshim-m32.so, the library for 32-bit programs; sshim uses it where it fits
M32_CC ?= i686-linux-gnu-gcc
M32_OBJECTS := $(patsubst %.c,$(BUILD)/m32/%.o,$(SHIM) $(PROTO))

m32: $(BUILD)/libsshim-m32.so

$(BUILD)/libsshim-m32.so: $(M32_OBJECTS)
	$(M32_CC) -shared $(SHIM_LINK) -Wl,-soname,libsshim-m32.so -o $@.debug $^
	$(STRIP) -o $@ $@.debug

$(BUILD)/m32/%.o: %.c
	@mkdir -p $(@D)
	$(M32_CC) -std=gnu11 $(WARN) $(CPPFLAGS) -O2 -g $(SHIM_NAMES) $(SHIM_CALLS) $(SHIM_SIZE) -fPIC -fvisibility=hidden -fexceptions -MMD -MP -c -o $@ $<

-include $(M32_OBJECTS:.o=.d)

.PHONY: cross m32
# --- end of other machines
# --- for users: demo, install, help
BINDIR := $(DESTDIR)$(PREFIX)/bin
LIBDIR := $(DESTDIR)$(PREFIX)/lib/sshim
UNITDIR := $(DESTDIR)$(PREFIX)/lib/systemd/system
SHAREDIR := $(DESTDIR)$(PREFIX)/share
DOCDIR := $(SHAREDIR)/doc/sshim
ZSHDIR ?= zsh/site-functions
COMPLETIONS := bash:bash-completion/completions/sshim zsh:$(ZSHDIR)/_sshim fish:fish/vendor_completions.d/sshim.fish
INSTALLED = $(BINDIR)/sshim $(addprefix $(LIBDIR)/,libsshim.so sshim-metrics sshim-top sshim-trial) $(UNITDIR)/sshim@.service \
	$(addprefix $(DOCDIR)/,alerts.yml sshim@web.socket) \
	$(foreach page,$(notdir $(wildcard man/*.[17])),$(SHAREDIR)/man/man$(subst .,,$(suffix $(page)))/$(page)) \
	$(foreach pair,$(COMPLETIONS),$(SHAREDIR)/$(lastword $(subst :, ,$(pair))))
# The one place of the version; CHANGELOG.md's newest number is held to it by tests/docs.bats.
VERSION = $(shell sed -n 's/^#define SSHIM_VERSION "\(.*\)"/\1/p' broker/main.c)

# DEPS="parity bench": what other targets need, by the table scripts/deps.txt
DEPS ?= demo check
deps:
	@scripts/deps.sh $(DEPS)

demo: all
	scripts/demo.sh $(BUILD)/sshim

picture: all
	@scripts/deps.sh demo
	scripts/picture.py $(BUILD)/sshim scripts/picture.svg

# sshim looks for its library beside itself and in ../lib/sshim, so the tree may be moved as a whole.
install: all
	install -d $(sort $(dir $(INSTALLED)))
	install -m 755 $(BUILD)/sshim $(BINDIR)/sshim
	install -m 644 $(BUILD)/libsshim.so $(LIBDIR)/libsshim.so
	$(if $(OBSERVERS),install -m 755 $(OBSERVERS) $(LIBDIR))
	sed 's|/usr/local/bin|$(PREFIX)/bin|' scripts/systemd/sshim@.service >$(UNITDIR)/sshim@.service
	install -m 644 observe/alerts.yml scripts/systemd/sshim@web.socket $(DOCDIR)
	for page in man/*.[17]; do \
		sed 's/^\.Os$$/.Os sshim $(VERSION)/' $$page >$(SHAREDIR)/man/man$${page##*.}/$${page##*/}; done
	for pair in $(COMPLETIONS); do \
		scripts/completion.sh $${pair%%:*} $(BUILD)/sshim >$(SHAREDIR)/$${pair#*:} || exit; done

uninstall:
	rm -f $(INSTALLED)
	-rmdir $(LIBDIR) $(DOCDIR)

deb:
	@scripts/deps.sh deb
	scripts/deb.sh

# One line a target: those comments of the makefiles that begin with "# make ".
help:
	@sed -n 's/^# \(make \)/\1/p' $(filter-out %.d,$(MAKEFILE_LIST))

.PHONY: deps demo picture install uninstall deb help
# --- end of for users
# --- real servers
# ROOT=FOLDER: in a root of another Debian, which SUITE=trixie (or unstable) makes.
servers: $(if $(ROOT),,all)
	$(if $(ROOT),scripts/in-root.sh $(ROOT) make servers,scripts/servers.sh)

.PHONY: servers
# --- end of real servers

# make musl       builds build/libsshim-musl.so, the library for programs of musl
#
# musl-gcc of Debian's musl-tools. The same sources; sshim takes it where it fits.
MUSL_OBJECTS := $(patsubst %.c,$(BUILD)/musl/%.o,$(SHIM) $(PROTO))

musl: $(BUILD)/libsshim-musl.so

$(BUILD)/libsshim-musl.so: $(MUSL_OBJECTS)
	musl-gcc -shared $(SHIM_LINK) -Wl,-soname,libsshim-musl.so -o $@.debug $^
	$(STRIP) -o $@ $@.debug

$(BUILD)/musl/%.o: %.c
	@mkdir -p $(@D)
	musl-gcc -std=gnu11 -Wall -Wextra $(CPPFLAGS) -O2 -g $(SHIM_CALLS) $(SHIM_SIZE) -fPIC -fvisibility=hidden -fexceptions -MMD -MP -c -o $@ $<

-include $(MUSL_OBJECTS:.o=.d)

clean:
	rm -rf build

-include $(SHIM_OBJECTS:.o=.d) $(BROKER_OBJECTS:.o=.d) $(METRICS_OBJECTS:.o=.d) $(TOP_OBJECTS:.o=.d) $(TRIAL_OBJECTS:.o=.d)

.PHONY: all clean

# --- tests: each part brings its own targets -------------------------------------------------
include $(wildcard tests/*.mk)
