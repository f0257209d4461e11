# balancers.mk - real senders of PROXY headers. Included by Makefile; uses its variables.

# make balancers  runs real balancers in front of real servers, which have to tell the client
balancers: all test-progs
	@scripts/deps.sh balancers
	BUILD=$(BUILD) bats tests/balancers/balancers.bats

.PHONY: balancers
