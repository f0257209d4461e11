/* test_scoreboard.c - proto/scoreboard.h: exactly one waker, and no lost wake-up between two
 * threads. */
#include <pthread.h>
#include <string.h>

#include "proto/scoreboard.h"
#include "unit.h"

static struct board board;

static void waiting_is_counted(void)
{
    memset(&board, 0, sizeof board);
    board_raise(&board);
    board_raise(&board);
    CHECK(board.worker.waiting == 2 && board.worker.waits == 2);
    board_lower(&board);
    CHECK(board.worker.waiting == 1 && board.worker.waits == 2);
}

static void a_fed_board_wakes_nobody(void)
{
    memset(&board, 0, sizeof board);
    CHECK(!board_claim_wake(&board));
}

static void one_claim_wins(void)
{
    memset(&board, 0, sizeof board);
    board.broker.queue_waits = BOARD_ASK;
    CHECK(board_queue(&board) == BOARD_ASK);
    CHECK(board_claim_wake(&board));
    CHECK(!board_claim_wake(&board));
    CHECK(board_queue(&board) == BOARD_QUEUE_EMPTY);
}

static void flags_are_read(void)
{
    memset(&board, 0, sizeof board);
    board.broker.flags = BOARD_DIRECT;
    CHECK(board_has_flag(&board, BOARD_DIRECT));
    CHECK(!board_has_flag(&board, BOARD_WAIT_INVISIBLE));
}

#define ROUNDS 20000
#define THREADS 3

static pthread_barrier_t barrier;
static _Atomic int wakes;

static void *claim_each_round(void *unused)
{
    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&barrier);
        if (board_claim_wake(&board))
            atomic_fetch_add(&wakes, 1);
        pthread_barrier_wait(&barrier);
    }
    return unused;
}

static void exactly_one_thread_wakes(void)
{
    pthread_t threads[THREADS];
    int wrong = 0;

    memset(&board, 0, sizeof board);
    pthread_barrier_init(&barrier, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, claim_each_round, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        board.broker.queue_waits = BOARD_BACKLOG;
        wakes = 0;
        pthread_barrier_wait(&barrier);
        pthread_barrier_wait(&barrier);
        wrong += wakes != 1;
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK(wrong == 0);
}

static bool claimed;

static void *wait_each_round(void *unused)
{
    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&barrier);
        board_raise(&board);
        claimed = board_claim_wake(&board);
        pthread_barrier_wait(&barrier);
        board_lower(&board);
        pthread_barrier_wait(&barrier);
    }
    return unused;
}

/* The broker's part of the protocol: set starving, fence, look once more. */
static void one_of_both_sees_the_other(void)
{
    pthread_t thread;
    int lost = 0;

    memset(&board, 0, sizeof board);
    pthread_barrier_init(&barrier, NULL, 2);
    pthread_create(&thread, NULL, wait_each_round, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        atomic_store_explicit(&board.broker.queue_waits, BOARD_QUEUE_EMPTY, memory_order_relaxed);
        pthread_barrier_wait(&barrier);
        atomic_store_explicit(&board.broker.queue_waits, BOARD_BACKLOG, memory_order_relaxed);
        atomic_thread_fence(memory_order_seq_cst);
        bool seen = atomic_load(&board.worker.waiting) > 0;
        pthread_barrier_wait(&barrier);
        lost += !seen && !claimed;
        pthread_barrier_wait(&barrier);
    }
    pthread_join(thread, NULL);
    CHECK(lost == 0);
}

int main(void)
{
    unit_run("scoreboard: waiting goes up and down, waits only up", waiting_is_counted);
    unit_run("scoreboard: nobody wakes a broker with an empty queue", a_fed_board_wakes_nobody);
    unit_run("scoreboard: the first claim of a wake-up wins, the second does not", one_claim_wins);
    unit_run("scoreboard: flags of the broker are read", flags_are_read);
    unit_run("scoreboard: of several threads exactly one wakes the broker",
             exactly_one_thread_wakes);
    unit_run("scoreboard: waiter and broker cannot miss each other", one_of_both_sees_the_other);
    return unit_end();
}
