# make            builds build/sshim and build/libsshim.so
# make demo       runs four copies of a real server and shows that each served
# make check      everything that must pass before a landing; installs what the tests need
# make help       all targets

CC      ?= cc
BUILD   ?= build
PREFIX  ?= /usr/local
CFLAGS  ?= -O2 -g
WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla -Wundef
CPPFLAGS += -D_GNU_SOURCE -I.
# SAN=address,undefined builds the broker and the tests with sanitizers; the library only takes UBSan in trap mode.
SAN     ?=
SANFLAGS := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer)
SHIMSAN := $(if $(findstring undefined,$(SAN)),-fsanitize=undefined -fsanitize-undefined-trap-on-error)

PROTO   := $(wildcard proto/*.c)
SHIM    := $(wildcard shim/*.c)
BROKER  := $(wildcard broker/*.c)

SHIM_OBJECTS   := $(patsubst %.c,$(BUILD)/pic/%.o,$(SHIM) $(PROTO))
BROKER_OBJECTS := $(patsubst %.c,$(BUILD)/obj/%.o,$(BROKER) $(PROTO))

all: $(BUILD)/sshim $(BUILD)/libsshim.so

$(BUILD)/sshim: $(BROKER_OBJECTS)
	$(CC) $(LDFLAGS) $(SANFLAGS) -o $@ $^

$(BUILD)/libsshim.so: $(SHIM_OBJECTS)
	$(CC) $(LDFLAGS) $(SHIMSAN) -shared -Wl,-z,defs -Wl,-z,relro,-z,now -Wl,-soname,libsshim.so -o $@.debug $^
	strip -o $@ $@.debug

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(WARN) $(CPPFLAGS) $(CFLAGS) $(SANFLAGS) -MMD -MP -c -o $@ $<

# -fexceptions: pthread_cancel unwinds through accept
$(BUILD)/pic/%.o: %.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 $(WARN) $(CPPFLAGS) $(CFLAGS) $(SHIMSAN) -fPIC -fvisibility=hidden -fexceptions -MMD -MP -c -o $@ $<

clean:
	rm -rf build

-include $(SHIM_OBJECTS:.o=.d) $(BROKER_OBJECTS:.o=.d)

.PHONY: all clean

# --- tests: each part brings its own targets -------------------------------------------------
include $(wildcard tests/*.mk)
