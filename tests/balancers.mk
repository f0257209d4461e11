# balancers.mk - real programs in front of a server: balancers, and an attack. Included by Makefile; uses its variables.

# make balancers  runs real balancers in front of real servers, which have to tell the client; and slow clients by slowhttptest
balancers: all test-progs
	@scripts/deps.sh balancers
	BUILD=$(BUILD) bats tests/balancers

.PHONY: balancers
