/*
 * held.pml - connections that the broker has accepted and not offered yet: the table that survives it, through kills of
 * the broker at each step. One listener, one worker that accepts all it is offered. What becomes of an offer when the
 * broker dies is dispatch.pml's: here is_out tells what judge_in_hand() finds out there.
 *
 * Holds: no connection is offered twice, nor after it was answered or closed; the broker closes only whom it may; a record
 * names a connection of its own. When nothing can happen any more, each client that has sent is accepted, answered or
 * closed, and each silent one has one record.
 *
 * CONNECTIONS; KILLS of the broker; TIMEOUTS: --hold-timeout may be over at any moment; FULL: --when-full FILE acts at
 * any moment, also on what was offered. Mutations, of which each must be found: see run.sh.
 */
#ifndef CONNECTIONS
#define CONNECTIONS 2
#endif
#ifndef KILLS
#define KILLS 1
#endif
#define NUMBERS (CONNECTIONS + 2) /* and the memory of two tables */
#define NONE 255
#define MEMORY 254

#define HELD_FREE 0 /* enum held_stage */
#define HELD_REQUEST 2
#define HELD_COMPLETE 3
#define HELD_ANSWERED 4

/* The kernel's. */
chan backlog = [CONNECTIONS] of { byte };
chan offers = [CONNECTIONS] of { byte };
byte fds[NUMBERS] = NONE; /* of the broker and its keeper, by number */
bool is_out[CONNECTIONS]; /* it was sent, and not recalled */

bool arrived[CONNECTIONS], sent[CONNECTIONS], left[CONNECTIONS];
bool answered[CONNECTIONS], closed[CONNECTIONS];
byte accepts[CONNECTIONS];

/* Two tables, of which the journal names one: journal_held_fd(). A place in the other one is private. */
byte current;
byte stage[2 * CONNECTIONS];
byte number[2 * CONNECTIONS];

byte hand_fd = NONE; /* journal_live.in_hand_fd */
byte noted = NONE; /* journal_begin_closing() */
bool broker_killed;

inline model_find_number()
{
    n = 0;
    do
    :: fds[n] == NONE -> break
    :: fds[n] != NONE -> n++
    od
}

/* close(2) of a connection that must not be served any more */
inline model_close(n)
{
    c = fds[n];
    assert(c < CONNECTIONS);
    closed[c] = closed[c] || !is_out[c];
    fds[n] = NONE;
    c = 0
}

/* held_add() */
inline held_add(n, first)
{
    d_step {
        i = 0;
        do
        :: stage[current * CONNECTIONS + i] == HELD_FREE -> break
        :: else -> i++; assert(i < CONNECTIONS)
        od
    };
#ifdef MUTATE_STAGE_FIRST
    stage[current * CONNECTIONS + i] = first;
    number[current * CONNECTIONS + i] = n
#else
    number[current * CONNECTIONS + i] = n;
    stage[current * CONNECTIONS + i] = first
#endif
}

/* held_remove(); n gets its number */
inline held_remove()
{
    n = number[current * CONNECTIONS + i];
    stage[current * CONNECTIONS + i] = HELD_FREE
}

/* stages_drop(), close_held() */
inline stages_drop()
{
#ifndef MUTATE_NO_NOTE
    noted = number[current * CONNECTIONS + i];
#endif
#ifdef MUTATE_FREE_LAST
    atomic { n = number[current * CONNECTIONS + i]; model_close(n) };
    held_remove();
#else
    held_remove();
    atomic { model_close(n) };
#endif
    noted = NONE
}

/* front_take(), dispatch_hand(), channel_send() */
inline model_offer()
{
#ifdef MUTATE_FREE_AFTER_SEND
    n = number[current * CONNECTIONS + i];
#else
    held_remove();
#endif
    hand_fd = n;
    atomic { assert(fds[n] < CONNECTIONS); offers!fds[n]; is_out[fds[n]] = true };
    atomic { fds[n] = NONE }; /* close_copy() */
    hand_fd = NONE
#ifdef MUTATE_FREE_AFTER_SEND
    ;
    held_remove()
#endif
}

/* turn_away(), full_answer() */
inline turn_away()
{
#ifndef MUTATE_ANSWER_FIRST
    stage[current * CONNECTIONS + i] = HELD_ANSWERED;
#endif
    answered[fds[number[current * CONNECTIONS + i]]] = true;
    stage[current * CONNECTIONS + i] = HELD_ANSWERED
}

#define IS_AT(i, what) (stage[current * CONNECTIONS + i] == what)
#define WHO(i) fds[number[current * CONNECTIONS + i]]

/* What the loop reports of the connection in place i. */
inline model_look(place)
{
    if
    :: atomic { IS_AT(place, HELD_REQUEST) && sent[WHO(place)] -> stage[current * CONNECTIONS + place] = HELD_COMPLETE }
    :: atomic { (IS_AT(place, HELD_REQUEST) || IS_AT(place, HELD_COMPLETE)) && left[WHO(place)] -> i = place }; stages_drop()
    :: atomic { IS_AT(place, HELD_COMPLETE) && !left[WHO(place)] -> i = place }; model_offer()
#ifdef TIMEOUTS
    :: atomic { IS_AT(place, HELD_REQUEST) -> i = place }; stages_drop()
#endif
#ifdef FULL
    :: atomic { IS_AT(place, HELD_COMPLETE) -> i = place }; turn_away()
#endif
    :: atomic { IS_AT(place, HELD_ANSWERED) -> i = place }; stages_drop()
    fi
}

inline model_on_event()
{
    if
    :: atomic { nempty(backlog) -> model_find_number(); backlog?fds[n] }; held_add(n, HELD_REQUEST) /* stages_enter() */
    :: model_look(0)
#if CONNECTIONS > 1
    :: model_look(1)
#endif
#ifdef FULL
    :: atomic { nempty(offers) -> model_find_number(); offers?fds[n]; is_out[fds[n]] = false }; /* take_older() */
        held_add(n, HELD_COMPLETE); /* stages_turn_away() */
        turn_away()
#endif
    fi;
    atomic { n = 0; i = 0 }
}

/* find_strays(): connections that nothing names. What was to be closed, and memory that no journal names, is closed on exec. */
inline find_strays()
{
    d_step {
        n = 0;
        do
        :: n < NUMBERS ->
            is_stray[n] = fds[n] < CONNECTIONS;
            if
            :: fds[n] == MEMORY && n != table_fd -> fds[n] = NONE
            :: else
            fi;
            i = 0;
            do
            :: i < CONNECTIONS ->
                is_stray[n] = is_stray[n] && !(stage[current * CONNECTIONS + i] != HELD_FREE && number[current * CONNECTIONS + i] == n);
                i++
            :: else -> break
            od;
            if
            :: is_stray[n] && n == noted -> is_stray[n] = false; model_close(n)
            :: else
            fi;
            n++
        :: else -> break
        od;
        n = 0;
        i = 0;
        noted = NONE
    }
}

/* judge_in_hand(): what was sent is closed, and is in the worker's care */
inline judge_in_hand()
{
    if
    :: atomic { hand_fd != NONE && fds[hand_fd] < CONNECTIONS && is_out[fds[hand_fd]] -> is_stray[hand_fd] = false; fds[hand_fd] = NONE }
    :: else
    fi;
    hand_fd = NONE
}

/* held_load(): copied into a table of this broker's own, which is then published by one store. The old one's memory is
 * closed after that. */
inline held_load()
{
    atomic { model_find_number(); fds[n] = MEMORY; new_fd = n; i = 0 };
    do
    :: atomic { i < CONNECTIONS -> stage[(1 - current) * CONNECTIONS + i] = stage[current * CONNECTIONS + i] };
        atomic {
            if
            :: stage[current * CONNECTIONS + i] != HELD_FREE -> assert(WHO(i) < CONNECTIONS)
            :: else
            fi;
            number[(1 - current) * CONNECTIONS + i] = number[current * CONNECTIONS + i];
            i++
        }
    :: i == CONNECTIONS -> break
    od;
    atomic { n = table_fd; table_fd = new_fd; new_fd = NONE; current = 1 - current }; /* held_publish() */
    atomic { fds[n] = NONE }
}

/* recount_rescue(), stages_enter_again() */
inline recount_rescue()
{
    k = 0;
    do
#ifndef MUTATE_NO_RESCUE
    :: k < NUMBERS && is_stray[k] && fds[k] < CONNECTIONS ->
        held_add(k, HELD_REQUEST);
        k++
    :: k < NUMBERS && !(is_stray[k] && fds[k] < CONNECTIONS) -> k++
#else
    :: k < NUMBERS -> k++
#endif
    :: k == NUMBERS -> break
    od;
    atomic { k = 0; i = 0; n = 0 }
}

inline model_resume()
{
    atomic { c = 0; k = 0; find_strays() };
    judge_in_hand();
    held_load();
    recount_rescue()
}

active proctype Broker()
{
    byte n, i, k, c;
    byte table_fd = NUMBERS - 1, new_fd = NONE;
    bool is_stray[NUMBERS];
    bool has_died;

    fds[table_fd] = MEMORY;
    do
    :: {
        if
        :: has_died -> has_died = false; model_resume()
        :: !has_died -> model_on_event()
        fi
    } unless { atomic { broker_killed -> broker_killed = false; has_died = true } }
    od
}

active proctype Worker()
{
    byte c;

    do
    :: atomic {
        offers?c ->
        accepts[c]++;
        assert(accepts[c] == 1 && !closed[c] && !answered[c]);
        c = 0
    }
    od
}

active [CONNECTIONS] proctype Client()
{
    byte me = _pid - 2;

    atomic { arrived[me] = true; backlog!me };
    if
    :: sent[me] = true
    :: left[me] = true
    :: true /* it stays silent */
    fi
}

active proctype Killer()
{
    byte kills;

    do
    :: atomic { kills < KILLS && !broker_killed -> broker_killed = true; kills++ }
    :: kills < KILLS -> break
    :: kills == KILLS -> break
    od
}

active proctype Judge()
{
    byte c, i, records;

    timeout;
    do
    :: c < CONNECTIONS ->
        d_step {
            i = 0;
            records = 0;
            do
            :: i < CONNECTIONS ->
                records = records + (stage[current * CONNECTIONS + i] != HELD_FREE && WHO(i) == c -> 1 : 0);
                i++
            :: else -> break
            od;
            assert(accepts[c] + closed[c] + records == 1);
            assert(!sent[c] || records == 0)
        };
        c++
    :: else -> break
    od
}
