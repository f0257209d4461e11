/*
 * announce.pml - what a wait reported of a listener that blocks, see shim/take/announce.h: a server's loop waits, is
 * told of an offer, and comes to accept. The broker may take the offer back at any moment, and gives it to another worker.
 *
 * Properties: the loop's accept always comes back (Judge), with the connection unless the worker came so late that the
 * broker waited no longer (LATE), and no connection is lost or accepted twice. One loop, one idle worker.
 *
 * A name with () in a comment is a function of the code.
 */
#ifndef CONNECTIONS
#define CONNECTIONS 2
#endif

chan offers = [CONNECTIONS] of { byte }; /* the channel of the loop */
byte accepts[CONNECTIONS];
bool announced; /* BOARD_ANNOUNCED */
bool accepting; /* BOARD_ACCEPTING */
bool recalling;
bool late;      /* the broker has waited for fifty recalls; from then on */
bool in_accept; /* the loop is */

inline take(c)
{
    accepts[c]++;
    assert(accepts[c] == 1)
}

/* channel_recall(), and the other worker, which is idle, accepts it */
inline model_take_back()
{
    if
    :: atomic { offers?c -> take(c) }
    :: empty(offers)
    fi
}

/* recall() in take.c: take_must_leave() is the look */
inline model_recall()
{
#ifdef MUTATE_BROKER_LOOKS_FIRST
    leave = (announced || accepting) && !late;
    recalling = true;
#elif defined(MUTATE_NO_RECALLING)
    leave = (announced || accepting) && !late;
#else
    recalling = true;
    leave = (announced || accepting) && !late;
#endif
    if
    :: leave
    :: else -> model_take_back()
    fi;
    recalling = false
}

active proctype Broker()
{
    byte c, sent;
    bool leave;

    do
    :: sent < CONNECTIONS -> offers!sent; sent++
    :: nempty(offers) -> model_recall()
#ifdef LATE
    :: atomic { !late -> late = true }
#endif
    od
}

/* announce_confirm(): there is how has_connection() found it */
inline announce_confirm()
{
#ifdef MUTATE_LOOK_FIRST
    there = nempty(offers);
    announced = true;
    !recalling /* announce_await_recall() */
#else
    announced = true;
    !recalling;
    there = nempty(offers)
#endif
}

/* take_offer() after announce_consume() */
inline take_offer()
{
#ifndef MUTATE_CONSUME_FIRST
    accepting = true;
#endif
    atomic { at_once = announced; announced = false };
#ifdef MUTATE_BLOCK
    at_once = false;
#endif
    if
    :: atomic { offers?c -> take(c) }
    :: atomic { at_once && empty(offers) && !recalling -> assert(late) } /* ECONNABORTED */
    fi;
    accepting = false /* announce_end() */
}

active proctype Loop()
{
    byte c;
    bool there, at_once;

    do
    :: nempty(offers); /* poll(2) */
        announce_confirm();
        if
        :: there -> in_accept = true; take_offer(); in_accept = false
        :: else -> announced = false /* announce_withdraw(); the wait goes on */
        fi
    od
}

active proctype Judge()
{
    byte c;

    timeout;
    assert(!in_accept);
    do
    :: c < CONNECTIONS -> assert(accepts[c] == 1); c++
    :: else -> break
    od
}
