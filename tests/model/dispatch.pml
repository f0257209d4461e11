/*
 * dispatch.pml - how a connection finds an idle worker: the board, `queue_waits`, wake-ups, direct takes, offers,
 * recalls, loops that attend, and the death of a worker, of the broker, or of the broker and its keeper. One
 * listener, two workers. Steps are as fine as what another process can see between them. shim.pml is what a worker
 * does, broker.pml what the broker does, resume.pml what the next broker does. A a name with () in a comment is a function of
 * the code; run.sh looks whether there is one.
 *
 * Properties: never is a connection accepted twice (take), and when nothing can move any more none has been lost
 * and none waits while a worker is idle (Judge).
 *
 * Not modelled: --balance source, shortages, crowded and deaf workers, probes of workers whose waiting cannot be
 * seen, threads of one worker, long connections (a loop that attends may always be one that has some), the pace of
 * timers (a timer may fire at any time, EARLY times, and fires when nothing else can happen), and that the broker
 * registers anew behind those that attend: here the kernel asks in any order.
 *
 * With ATTEND event loops may register the canonical socket in their epoll fd (wait_exclusive_consider()), exclusively as the
 * broker does, and before it: a connection wakes one of them that is in its wait, or else the broker. What the
 * kernel tells whom is then an edge (is_told) until that one looks; without ATTEND the broker always sees the level.
 *
 * Parameters: CONNECTIONS; LOOP0, LOOP1: that worker is an event loop, else it blocks in accept; STUCK: worker 1
 * may stop for ever while it serves; EARLY; LOOK: a worker that blocks may look by itself; PATIENCE: so often the
 * broker waits for somebody with fewer connections though one is idle; KILL_WORKER: once, at any moment; KILLS of the
 * broker, at any moments; KILL_BOTH: broker and keeper; the workers serve by themselves.
 * ALONE: worker 1 is busy for ever. ATTEND: event loops may attend; SLOWER: until the broker says no more, at any moment.
 * Mutations, of which each must be found: see run.sh.
 */
#ifndef CONNECTIONS
#define CONNECTIONS 2
#endif
#ifndef LOOP0
#define LOOP0 0
#endif
#ifndef LOOP1
#define LOOP1 0
#endif
#ifndef EARLY
#define EARLY 0
#endif
#ifndef KILLS
#define KILLS 0
#endif
#ifndef PATIENCE
#define PATIENCE 0
#endif
#ifdef ATTEND
#define SEEN true /* connections come fast: they have waited before */
#else
#define SEEN false
#endif
#define WORKERS 2
#define NONE 255
#define ROUNDS 8 /* of timers when nothing else can happen; each must bring something about */

#define FED 0 /* enum board_queue */
#define BACKLOG 1
#define ASK 2

/* The kernel's. Offers stay in a channel whoever dies, as long as the broker or its keeper holds both ends. */
chan backlog = [CONNECTIONS] of { byte };
chan offers[WORKERS] = [CONNECTIONS] of { byte };
byte wakes[WORKERS];                 /* WIRE_WAKE datagrams that the broker has not read */
bool in_table[CONNECTIONS];          /* the broker's fd table holds this connection */
bool copied[CONNECTIONS];             /* under one more number: taken back out of a channel */
bool held_by[WORKERS * CONNECTIONS]; /* a worker's fd table does */

/* struct board */
byte waiting[WORKERS], taken[WORKERS];
bool waits[WORKERS] = SEEN;
byte queue_waited[WORKERS];
byte sent[WORKERS]; /* as published; the broker's own count is the same */
bool wait_invisible[WORKERS] = !SEEN;

/* The journal's connection in hand. */
byte hand_fd = NONE;
bool hand_copied; /* which of its two numbers it is */
bool hand_closed; /* that number is nobody's */
byte hand_channel;
byte hand_net;

bool dead[WORKERS];
bool stuck[WORKERS];
bool broker_killed;
bool gone[WORKERS];      /* this worker's channel has no other end any more */
bool excused[CONNECTIONS]; /* the broker and the keeper held it when they died */
bool moved[WORKERS];     /* since the broker began to suspect it, see has_moved() */
byte accepts[CONNECTIONS];
byte rounds;
bool resting[WORKERS]; /* blocked, idle */

/* The kernel's: the canonical socket in epoll fds. */
bool exclusive_waits[WORKERS];    /* in this worker's */
bool rests[WORKERS];      /* it did; once is enough to see what can happen */
bool may_attend = true;   /* BOARD_WAIT_EXCLUSIVE; cleared at any moment, then the broker watches the level again */
bool armed = true;        /* the broker watches it */
bool is_told = true;      /* its epoll fd was told of a connection, which it is not any more */

/* What matters in few runs would only multiply the states of the others. */
#if KILLS > 0 || defined(KILL_BOTH)
#define IN_TABLE(c, on) in_table[c] = on
#else
#define IN_TABLE(c, on) skip
#endif
#if KILLS > 0
#define HOLD(w, c) held_by[w * CONNECTIONS + c] = true
#else
#define HOLD(w, c) skip
#endif
#if EARLY > 0 || defined(TIMERS)
#define MOVE(w) moved[w] = true
#else
#define MOVE(w) skip
#endif

inline take(w, c)
{
    accepts[c]++;
    assert(accepts[c] == 1);
    HOLD(w, c);
    c = 0
}

active proctype Clients()
{
    byte arrived;

    do
#ifdef ATTEND
    :: atomic {
        arrived < CONNECTIONS ->
        backlog!arrived;
        arrived++;
        is_told = is_told || (armed && !may_attend); /* who does not watch exclusively is always told */
        if /* __wake_up: whoever is registered first and in its wait; the broker also while it is at work */
        :: exclusive_waits[0] && resting[0] -> resting[0] = false
        :: exclusive_waits[1] && resting[1] -> resting[1] = false
        :: armed -> is_told = true
        :: else
        fi
    }
#else
    :: atomic { arrived < CONNECTIONS -> backlog!arrived; arrived++ }
#endif
    :: else -> break
    od
}

#include "shim.pml"
#include "broker.pml"

active proctype Broker()
{
    bool pumps, resumes, is_starving, idle, unseen, late, holds, stray, waits_for_lighter;
    bool woken[WORKERS], recallable[WORKERS], overdue[WORKERS], closed[WORKERS];
    byte queue_as, held = NONE, got = NONE, picked, untaken, value, i, k, early, found, patience;
    bool has_died;
    chan back[WORKERS] = [CONNECTIONS] of { byte };

    do
    :: {
        if
#if KILLS > 0
        :: has_died -> has_died = false; resume()
        :: !has_died && resumes && !pumps -> model_rescue_next()
#endif
        :: !has_died && pumps -> dispatch_pump()
        :: !has_died && !resumes && !pumps -> model_on_event()
        fi
    } unless { atomic { broker_killed -> broker_killed = false; has_died = true } }
    od
}

/* --- kill -9, and the judgement --- */

active proctype Killer()
{
#if KILLS > 0
    byte kills;

    do
    :: atomic { kills < KILLS && !broker_killed -> broker_killed = true; kills++ }
    :: kills == KILLS -> break
    od;
    kills = 0;
#endif
#ifdef KILL_BOTH
    atomic {
        broker_killed = true;
        gone[0] = true;
        gone[1] = true;
        wakes[0] = 0;
        wakes[1] = 0;
        excused[0] = in_table[0];
        in_table[0] = false
#if CONNECTIONS > 1
        ;
        excused[1] = in_table[1];
        in_table[1] = false
#endif
    };
#endif
#ifdef KILL_WORKER
    dead[0] = true;
    resting[0] = false;
#endif
    skip
}

/* Everything that could happen has happened. */
active proctype Judge()
{
    byte c;

#ifdef TIMERS
    timeout && rounds == ROUNDS;
#else
    timeout;
#endif
    do
    :: c < CONNECTIONS ->
        /* waits while a worker is idle, or is lost */
        assert(accepts[c] == 1 || excused[c] || !(resting[0] || resting[1]));
        c++
    :: else -> break
    od
}

init
{
    atomic {
        run Worker(0, LOOP0);
#ifndef ALONE
        run Worker(1, LOOP1)
#endif
    }
}
