/*
 * sole.pml - a copy that is the only one takes from the canonical socket what is not in its channel (shim/sole.c),
 * while the broker may be about to send it something older. Each says what it does before it looks at the other.
 *
 * Properties: connections are accepted in the order in which they came, and accept() never says EAGAIN while one is
 * there that had come before it was called. Not modelled: a broker that is stopped in between for longer than
 * sole_await() waits, recalls, and threads of the copy. Mutations: MUTATE_WORKER_LOOKS_FIRST,
 * MUTATE_BROKER_LOOKS_FIRST, MUTATE_NOBODY_LOOKS: where both gave way it says EAGAIN.
 */
#ifndef CONNECTIONS
#define CONNECTIONS 4
#endif
#define NONE 255
#ifdef MUTATE_NOBODY_LOOKS
#define EAGAIN true
#else
#define EAGAIN !gave_way
#endif

chan backlog = [CONNECTIONS] of { byte };
chan offers = [CONNECTIONS] of { byte };
byte arrived, accepted;
byte sent, taken;
bool taking, takes;

active proctype Clients()
{
    do
    :: atomic { arrived < CONNECTIONS -> backlog!arrived; arrived++ }
    :: arrived == CONNECTIONS -> break
    od
}

inline model_give()
{
    assert(c == accepted);
    accepted++;
    c = NONE
}

/* may_take() */
inline may_take()
{
    gave_way = taking;
    free = !gave_way && sent == taken /* direct_is_oldest() */
}

/* try_as_sole(): sole_begin_take(), try_directly(), sole_end_take() */
inline try_as_sole()
{
#ifdef MUTATE_WORKER_LOOKS_FIRST
    may_take();
    takes = true;
#else
    takes = true;
    may_take();
#endif
    if
    :: free ->
        if
        :: atomic { backlog?c -> model_give() }; takes = false; goto over
        :: empty(backlog)
        fi
    :: else
    fi;
    takes = false
}

active proctype Worker()
{
    byte c = NONE, before;
    bool free, gave_way;

    do
    :: before = arrived; /* accept() is called */
again:
        if
        :: atomic { offers?c -> model_give() }; taken++; goto over /* finish_take() */
        :: empty(offers) -> try_as_sole()
        fi;
        /* sole_await() */
        if
        :: !taking ->
            if
#ifndef MUTATE_NOBODY_LOOKS
            :: gave_way -> goto again
#endif
            :: len(offers) > 0 -> goto again
            :: EAGAIN && len(offers) == 0 -> assert(accepted >= before)
            fi
        :: taking -> taking == false || len(offers) > 0; goto again
        fi;
over:
        atomic { free = false; gave_way = false; before = 0; accepted < CONNECTIONS } /* its poll is not of interest here */
    od
}

/* take_next(): channel_begin_taking(), take_oldest(); channel_send(); channel_end_taking() */
active proctype Broker()
{
    byte got = NONE;
    bool yields;

    do
    :: nempty(backlog) ->
#ifdef MUTATE_BROKER_LOOKS_FIRST
        yields = takes;
        taking = true;
#else
        taking = true;
        yields = takes;
#endif
        if
        :: yields -> skip
        :: else ->
            if
            :: backlog?got -> sent++; offers!got
            :: empty(backlog)
            fi
        fi;
        taking = false;
        atomic { got = NONE; yields = false }
    od
}
