# foreign.mk - other people's test suites, natively and under the shim. Included by Makefile; uses its variables.

# Where they are built, outside the project; kept, so that the next run begins at once.
FOREIGN ?= $(or $(TMPDIR),/tmp)/sshim-foreign-$(shell id -u)

# make foreign    runs the network tests of CPython, Tcl, libuv, libevent, GIO, libsoup, PHP, Ruby and Erlang, natively and as a worker;
#                 SUITES="python tcl/socket" runs some; WAY=joined runs them as programs that join a broker
foreign: all
	FOREIGN=$(FOREIGN) tests/foreign/prepare.sh
	BUILD=$(BUILD) FOREIGN=$(FOREIGN) python3 tests/foreign/run.py $(SUITES)

.PHONY: foreign
