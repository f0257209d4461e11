# model.mk - the model of the dispatch protocol. Included by Makefile.
# make model      checks with spin that no wake-up and no connection is lost, and that the checker would see it

model:
	tests/model/run.sh

.PHONY: model
