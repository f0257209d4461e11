/* broker.pml - the broker: whom it believes idle, starves and sates, what it hands to whom and takes back. Its
 * variables are those of Broker in dispatch.pml, of which this is a part. */

/* channel_set_queue() */
inline set_starving(w, as)
{
    queue_waited[w] = as
}

/* channel_untaken(); the counters may be wrong, so they are bounded */
inline count_untaken(w)
{
    untaken = (taken[w] >= sent[w] -> 0 : sent[w] - taken[w])
}

/* listener_count_late(): taken before the broker before us died, and counted since */
inline count_late(w)
{
    sent[w] = (taken[w] > sent[w] -> taken[w] : sent[w])
}

/* belief_is_idle(). Its reads of the worker's line are three steps; what the broker alone knows is none. */
inline look_at(w)
{
#if KILLS > 0 && !defined(MUTATE_NO_COUNT_LATE)
    count_late(w);
#endif
    atomic {
        count_untaken(w);
        idle = false
    };
    if
    :: closed[w] /* pick_is_eligible() */
    :: atomic { !closed[w] && overdue[w] && !moved[w] -> idle = (untaken == 0 && late) }
    :: atomic {
        else ->
        overdue[w] = false;
        unseen = !waits[w];
        wait_invisible[w] = unseen
    };
        idle = (unseen -> untaken == 0 : waiting[w] > untaken)
    fi;
    atomic {
        picked = (idle -> w : NONE);
        idle = false;
        unseen = false;
        untaken = 0
    }
}

/* pick_idle(); which of several idle ones gets it does not matter here. is_worth_waiting() may pass over it. */
inline pick_idle()
{
    if
    :: look_at(0);
        if
        :: picked == NONE -> look_at(1)
        :: else
        fi
    :: look_at(1);
        if
        :: picked == NONE -> look_at(0)
        :: else
        fi
    fi;
#if PATIENCE > 0
    waits_for_lighter = false;
    if
    :: atomic { picked != NONE && patience < PATIENCE -> patience++; picked = NONE; waits_for_lighter = true }
    :: true
    fi
#endif
}

/* listener_poll_arm() on and off are `armed` */
inline queue_begin()
{
    atomic {
        value = (held != NONE || recallable[0] || recallable[1] -> ASK : BACKLOG); /* queue_value() */
        armed = false;
        i = 0
    };
    do
    :: i < WORKERS ->
        if
        :: !is_starving || queue_as != value || woken[i] -> set_starving(i, value)
        :: else
        fi;
        atomic { woken[i] = false; i++ }
    :: else -> break
    od;
    atomic { is_starving = true; queue_as = value; value = 0; i = 0 }
}

inline queue_end()
{
#ifdef ATTEND
    atomic { is_told = is_told || !armed };
#endif
    if
    :: is_starving -> set_starving(0, FED); set_starving(1, FED)
    :: else
    fi;
    atomic { is_starving = false; woken[0] = false; woken[1] = false; armed = true }
}

/* channel_recall(), and take_recallable() for one channel */
inline recall_from(w)
{
    if
    :: recallable[w] && got == NONE ->
        if
        :: atomic { offers[w]?got -> IN_TABLE(got, true) }; sent[w]--
        :: empty(offers[w]) -> recallable[w] = false
        fi
    :: else
    fi
}

/* take_next(): held, stranded, take_from_backlog() */
inline take_next()
{
    got = NONE;
    if
    :: held != NONE -> atomic { got = held; held = NONE }
    :: else ->
        recall_from(0);
        recall_from(1);
        if
        :: got == NONE ->
            if
            :: atomic { backlog?got -> IN_TABLE(got, true) }
            :: empty(backlog)
            fi
        :: else
        fi
    fi
}

/* dispatch_hand(), channel_send(); what is in hand: journal_live */
inline hand(w)
{
    sent[w]++;
#if KILLS > 0
    atomic { hand_fd = got; hand_copied = false; hand_closed = false; hand_channel = w; hand_net = sent[w] };
    offers[w]!got;
    atomic { in_table[got] = false; hand_closed = true }; /* close */
    atomic { hand_fd = NONE; hand_closed = false; hand_channel = 0; hand_net = 0 }
#else
    offers[w]!got;
    IN_TABLE(got, false)
#endif
}

inline dispatch_pump()
{
    do
    :: true ->
        pick_idle();
        if
        :: picked == NONE -> /* pick_or_wait() */
            queue_begin();
#ifndef MUTATE_NO_SECOND_LOOK
            pick_idle()
#endif
        :: else
        fi;
        if
        :: picked == NONE -> break
        :: else -> take_next() /* get_connection() */
        fi;
        if
        :: got == NONE -> queue_end(); break
        :: else -> hand(picked)
        fi;
        if
        :: armed && !recallable[0] && !recallable[1] -> break
        :: else
        fi
    od;
    atomic { picked = 0; got = NONE; late = false; pumps = false }
}

/* on_recall_check(), on_overdue(): what is outstanding is not taken in time */
inline model_check()
{
    i = 0;
    do
    :: i < WORKERS ->
        count_untaken(i);
        if
        :: untaken > 0 && !closed[i] ->
            atomic { overdue[i] = true; moved[i] = false; recallable[i] = true } /* belief_note_overdue() */
        :: else
        fi;
        i++
    :: else -> break
    od;
    atomic { i = 0; untaken = 0 }
}

inline model_on_time()
{
    model_check();
    if
    :: is_starving || recallable[0] || recallable[1] -> pumps = true /* on_tick(); on_recall_check() */
#if defined(ATTEND) && !defined(MUTATE_NO_LOOKOUT)
    :: may_attend && armed && len(backlog) > 0 -> pumps = true /* on_lookout() */
#endif
    :: else -> late = false
    fi
}

/* What happens; dispatch_pump() is what the broker then does, in one place so that there are fewer states. */
inline model_on_event()
{
    if
#ifdef ATTEND
    :: atomic { armed && is_told && len(backlog) > 0 -> pumps = true } /* dispatch_on_ready() */
    :: atomic { armed && is_told && len(backlog) == 0 -> is_told = false }
#ifdef SLOWER
    :: atomic { may_attend -> may_attend = false; is_told = true } /* listener_poll_expect() */
#endif
#else
    :: atomic { armed && nempty(backlog) -> pumps = true } /* dispatch_on_ready() */
#endif
    :: atomic { wakes[0] > 0 -> wakes[0]--; woken[0] = true; pumps = true } /* dispatch_wake() */
    :: atomic { wakes[1] > 0 -> wakes[1]--; woken[1] = true; pumps = true }
#ifdef KILL_WORKER
    :: atomic {
        dead[0] && !closed[0] -> closed[0] = true; woken[0] = false; recallable[0] = true; pumps = true
    } /* worker_close_channel() */
#endif
#if PATIENCE > 0 && !defined(MUTATE_NO_TICK)
    :: atomic { waits_for_lighter && is_starving -> waits_for_lighter = false; pumps = true } /* on_tick() */
#endif
#if EARLY > 0
    :: atomic { early < EARLY -> early++ }; model_on_time()
#endif
#ifdef TIMERS
    :: atomic { timeout && rounds < ROUNDS -> rounds++; late = true }; model_on_time()
#endif
    fi
}

#include "resume.pml"
