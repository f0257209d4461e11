/* stubs.c - what the broker's objects expect of run.c. */
#include "broker/broker.h"

struct broker broker;
