# vm.mk - the product on a machine of another kind, emulated. Included by Makefile.

# make vm         runs unit tests, demo, restart, 50,000 held clients and ten servers in an emulated machine; ARCH=arm64, amd64, arm64-16k, s390x or
#                 ppc64el-64k; ONLY=EXPRESSION chooses by name
ARCH ?= arm64
vm:
	tests/vm/run.sh $(ARCH)

.PHONY: vm
