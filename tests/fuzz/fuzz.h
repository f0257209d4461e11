/* fuzz.h - what every fuzz target defines. It aborts when a promise is broken. */
#ifndef SSHIM_TESTS_FUZZ_H
#define SSHIM_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

#endif
