# cases.mk - small programs that show what users' programs met. Included by Makefile; uses its variables.

# make cases      runs programs that failed for users, natively and under sshim; CASES="NAME NAME" runs some
cases: all
	@scripts/deps.sh cases
	@SSHIM=$(abspath $(BUILD))/sshim scripts/cases.sh $(CASES)

.PHONY: cases
