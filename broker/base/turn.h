/*
 * turn.h - bounds how long a turn of the loop can sleep.
 *
 * No call of the broker may sleep, but some do when another process wants it: accept4(2) on a
 * shared socket whose O_NONBLOCK a worker has cleared, or close(2) of a connection with SO_LINGER
 * (socket(7)). While the loop turns, a timer sends SIGALRM every TURN_TICK_MS. Its handler is
 * installed without SA_RESTART, so that a call that sleeps ends with EINTR (signal(7)); a tick
 * finds the loop awake else, and changes nothing. The timer stops when the loop waits.
 *
 * What no signal interrupts (state D of proc(5)) is left to the keeper, see keeper.h.
 */
#ifndef SSHIM_BROKER_BASE_TURN_H
#define SSHIM_BROKER_BASE_TURN_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* No call of ours sleeps longer than this. */
#define TURN_TICK_MS 15

/* Installs the handler and makes the timer. 0, or -1 with the errno of timer_create(2). */
int turn_init(void);

/* The loop has waited and begins to work; the loop is about to wait. Times are those of
 * CLOCK_MONOTONIC in microseconds. Not thread-safe. */
void turn_begin(int64_t now_us);
void turn_end(int64_t now_us);

/* What a clock says, in microseconds. Async-signal-safe. */
int64_t turn_read_us(clockid_t clock);

/* CLOCK_MONOTONIC in milliseconds. Async-signal-safe. */
static inline int64_t turn_read_ms(void)
{
    return turn_read_us(CLOCK_MONOTONIC) / 1000;
}

/* Closes fd (takes). True: the call slept, as far as the ticks show; they begin when a turn is 5 ms
 * old. */
bool turn_close(int fd);

/*
 * Whether this turn has time for more of what can take any time: a look at processes, of which a
 * worker may have made any number. False from 10 ms of processor time after the first call on, or
 * 40 ms, less what we waited for a processor, or 200 ms: the rest is for another turn, or not
 * known. Always true before the loop runs.
 */
bool turn_has_time(void);

/* Until the end of this turn turn_has_time() allows 50 ms, where a look at one worker that starts
 * was cut: on a machine with many connections the kernel's tables alone take 10 ms. */
void turn_allow_more(void);

/* Odd in a turn, another one in each. */
uint64_t turn_number(void);

/* The longest turn so far, in milliseconds. */
unsigned turn_longest_ms(void);

#endif
