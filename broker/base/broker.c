/* broker.c - see broker.h. */
#include "broker/base/broker.h"

struct broker broker;
struct runtime runtime = {.ready_fd = -1};
