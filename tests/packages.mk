# packages.mk - what is made for other systems, tried in a small Debian. Included by Makefile; uses its variables.

# make deb-test   builds the Debian package, then installs, uses, upgrades under load and purges it in a small Debian (as root)
deb-test: bench-tools
	@scripts/deps.sh deb packages
	BUILD=$(BUILD) tests/packages/deb.sh

# make container-test   builds the image of scripts/container and runs it, as a pod would, in namespaces (as root)
container-test:
	@scripts/deps.sh packages containers
	BUILD=$(BUILD) tests/packages/container.sh

.PHONY: deb-test container-test
