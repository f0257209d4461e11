# parity.mk - does anything go past the library? Included by Makefile; uses its variables.

# make parity     checks by strace that every bind, listen and accept of real servers went through the library
#                 PARITY="nginx-single py-asyncio" some of them; PARITY_OPTIONS="--handoff direct" with these options
parity: all test-progs
	BUILD=$(BUILD) PARITY_OPTIONS="$(PARITY_OPTIONS)" python3 tests/parity/parity.py $(PARITY)

.PHONY: parity
