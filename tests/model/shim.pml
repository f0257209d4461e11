/* shim.pml - a worker: how it waits, takes and attends. Part of dispatch.pml. */

/* board_claim_wake(), vlisten_wake_broker() */
inline claim_wake(w)
{
    if
    :: queue_waited[w] != FED ->
        atomic { old = queue_waited[w]; queue_waited[w] = FED };
        if
        :: atomic { old != FED -> old = 0; wakes[w]++ }
        :: old == FED
        fi
    :: else
    fi
}

/* wait_begin(): board_raise(), then the look at `queue_waits` */
inline wait_begin(w)
{
#ifdef MUTATE_LOOK_FIRST
    claim_wake(w);
#endif
    atomic { waits[w] = true; MOVE(w) };
    waiting[w]++;
#ifndef MUTATE_LOOK_FIRST
    claim_wake(w)
#endif
}

/* finish_take() */
inline finish_take(w)
{
    atomic { taken[w]++; MOVE(w) };
    if
    :: wait_invisible[w] -> claim_wake(w)
    :: else
    fi
}

/* direct_is_permitted(), then try_directly(): somebody else may have been faster */
inline take_directly(w)
{
    if
    :: sent[w] == taken[w] ->
        if
        :: atomic { backlog?c -> take(w, c); MOVE(w) }; goto serve
        :: empty(backlog)
        fi
    :: else
    fi
}

/* take_offer() of a thread that blocks: should_take_directly(), receive() */
inline accept_blocking(w)
{
    if
    :: queue_waited[w] == BACKLOG -> take_directly(w)
#ifdef LOOK
    :: queue_waited[w] == FED && len(backlog) > 0 -> take_directly(w) /* direct_may_look() */
#endif
    :: else
    fi;
    wait_begin(w);
    resting[w] = true;
    if
    :: atomic { offers[w]?c -> take(w, c); resting[w] = false }
#ifdef KILL_BOTH
    :: atomic { gone[w] && len(offers[w]) == 0 -> resting[w] = false }; /* on_end_of_file() */
        waiting[w]--;
        fallen = true;
        goto again
#endif
    fi;
#ifdef MUTATE_LOWER_LAST
    finish_take(w);
    waiting[w]--
#else
    waiting[w]--; /* wait_end() */
    finish_take(w)
#endif
}

/* Before a wait: begin(), wait_exclusive_end() or rest() */
inline wait_exclusive_consider(w)
{
    if
    :: atomic { exclusive_waits[w] && !may_attend -> exclusive_waits[w] = false }
    :: atomic { exclusive_waits[w] && may_attend && queue_waited[w] != FED -> exclusive_waits[w] = false } /* not direct_is_free() */
    :: atomic { !exclusive_waits[w] && may_attend && !rests[w] && queue_waited[w] == FED && sent[w] == taken[w] ->
        exclusive_waits[w] = true; rests[w] = true }
    :: true
    fi
}

/* wait_translate(): the kernel told of a connection. accept() then asks should_take_directly(), is_still_free(). */
inline translate(w)
{
    if
    :: exclusive_waits[w] && len(backlog) > 0 ->
        if
        :: queue_waited[w] != ASK && sent[w] == taken[w] -> take_directly(w)
        :: true -> /* wait_exclusive_yield(): it has connections, or an offer is on its way */
            exclusive_waits[w] = false;
#ifndef MUTATE_YIELD_SILENTLY
            wakes[w]++
#endif
        fi
    :: else
    fi
}

/* wait_take_turn(), turn_poll(), turn_select(): nothing else to do, and connections wait; else the call itself */
inline wait_for_event(w)
{
    if
    :: queue_waited[w] == BACKLOG && sent[w] == taken[w] && len(backlog) > 0 -> /* direct_is_possible(), direct_is_ready() */
        atomic { waits[w] = true; MOVE(w) }; /* wait_note_visit() */
        take_directly(w)
    :: true ->
        wait_begin(w);
        atomic { resting[w] = (len(offers[w]) == 0 && !(exclusive_waits[w] && len(backlog) > 0)) };
        /* woken: by an offer, by the kernel for a connection, by the end of the channel */
        atomic { len(offers[w]) > 0 || (exclusive_waits[w] && !resting[w]) || gone[w] -> resting[w] = false };
        waiting[w]--; /* wait_end() */
#ifdef ATTEND
        translate(w)
#endif
    fi
}

/* epoll_wait, then accept until there is nothing */
inline accept_polling(w)
{
#ifdef ATTEND
    wait_exclusive_consider(w);
#endif
    wait_for_event(w);
    if
    :: atomic { offers[w]?c -> take(w, c) }; finish_take(w)
    :: empty(offers[w]) -> /* recalled meanwhile: EAGAIN */
#ifdef KILL_BOTH
        fallen = gone[w];
#endif
        goto again
    fi
}

/* canonical_accept(): the canonical socket is where the channel was */
inline accept_alone(w)
{
    resting[w] = true;
    atomic { backlog?c -> take(w, c); resting[w] = false }
}

proctype Worker(byte w; bool is_loop)
{
    byte c, old;
#ifdef KILL_BOTH
    bool fallen;
#endif

    {
        skip;
again:
        if
#ifdef KILL_BOTH
        :: fallen -> accept_alone(w)
        :: !fallen && is_loop -> accept_polling(w)
        :: !fallen && !is_loop -> accept_blocking(w)
#else
        :: is_loop -> accept_polling(w)
        :: else -> accept_blocking(w)
#endif
        fi;
serve:
        if
        :: true
#ifdef STUCK
        :: w == 1 -> stuck[w] = true; false
#endif
        fi;
        goto again
    } unless { dead[w] }
}
