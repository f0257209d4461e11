/* digits.h - numbers as text, for lines that are written for each connection: printf(3) takes ten
 * times as long. Pure. */
#ifndef SSHIM_BROKER_BASE_LOG_DIGITS_H
#define SSHIM_BROKER_BASE_LOG_DIGITS_H

#include <stdint.h>

#define DIGITS_MAX 21 /* of any number, with its sign and a zero */

/* Writes so many digits, the last ones of the number, and gives the end. */
static inline char *digits_put_last(char *at, uint64_t number, unsigned count)
{
    for (unsigned i = count; i > 0; number /= 10)
        at[--i] = (char)('0' + number % 10);
    return at + count;
}

/* Writes the number, at most DIGITS_MAX - 1 bytes, and gives the end. Adds no zero. */
static inline char *digits_put(char *at, int64_t number)
{
    uint64_t rest = number < 0 ? -(uint64_t)number : (uint64_t)number;
    unsigned count = 1;

    if (number < 0)
        *at++ = '-';
    for (uint64_t left = rest; left >= 10; left /= 10)
        count++;
    return digits_put_last(at, rest, count);
}

#endif
