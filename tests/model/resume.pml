/* resume.pml - the next broker: the keeper goes on as it. Part of dispatch.pml. */

inline model_forget_all()
{
    is_starving = false; pumps = false; resumes = false; armed = false; held = NONE; got = NONE; holds = false; stray = false; idle = false;
    late = false; queue_as = FED; picked = 0; unseen = false; untaken = 0; value = 0; i = 0; found = 0;
    woken[0] = false; woken[1] = false; recallable[0] = false; recallable[1] = false;
    overdue[0] = false; overdue[1] = false; closed[0] = false; closed[1] = false;
    waits_for_lighter = false; may_attend = false; is_told = true
}

#if KILLS > 0

/* find_strays(), is_known(): of two numbers of one connection one is passed on. Then in_table tells of the strays. */
inline model_inherit()
{
    do
    :: k < CONNECTIONS && copied[k] && in_table[k] ->
        if
        :: hand_closed = hand_closed || (hand_fd == k && hand_copied)
        :: hand_closed = hand_closed || (hand_fd == k && !hand_copied)
        fi;
        copied[k] = false;
        k++
    :: k < CONNECTIONS && copied[k] && !in_table[k] -> in_table[k] = true; copied[k] = false; k++
    :: k < CONNECTIONS && !copied[k] -> k++
    :: k == CONNECTIONS -> break
    od;
    hand_copied = false;
    k = 0
}

/* A descriptor that is received gets any number that is free, maybe the one that the journal names. */
inline receive_copy(w)
{
    offers[w]?got;
    back[w]!got;
    copied[got] = true;
    found++;
    if
    :: hand_closed -> hand_fd = got; hand_copied = true; hand_closed = false
    :: true
    fi
}

/* recount_channel(): takes every offer out, so that the channel holds none and the counters can start anew;
 * judge_in_hand() */
inline recount_channel(w)
{
    atomic { set_starving(w, FED); wait_invisible[w] = true }; /* channel_restore(), map_board() */
    do
    :: atomic { nempty(offers[w]) -> receive_copy(w) }
    :: empty(offers[w]) -> break
    od;
#ifdef MUTATE_CLOSE_BLINDLY
    stray = true;
#else
    stray = !hand_closed && !hand_copied; /* is_stray() of recount.c */
#endif
#ifndef MUTATE_NO_LOOK_AT_FDS
    holds = (hand_fd != NONE && hand_channel == w && stray && held_by[w * CONNECTIONS + hand_fd]); /* has_received() */
#endif
    sent[w] = taken[w]; /* channel_restart_counters() */
#ifndef MUTATE_NO_JOURNAL
    if
    :: hand_fd != NONE && hand_channel == w && (!stray || holds || sent[w] + found >= hand_net) ->
        if
        :: stray && !hand_closed -> atomic {
            assert(!hand_copied); /* it would be closed and be put back */
            in_table[hand_fd] = false;
            hand_closed = true
        }
        :: else
        fi;
#ifndef MUTATE_NO_END
        atomic { hand_fd = NONE; hand_channel = 0; hand_net = 0; hand_copied = false; hand_closed = false }
#endif
    :: else
    fi;
#endif
    atomic { found = 0; holds = false; stray = false; got = NONE }
}

/* recount_finish(), put() */
inline put_back(w)
{
    do
    :: back[w]?got ->
        sent[w]++;
        atomic { hand_fd = got; hand_copied = true; hand_closed = false; hand_channel = w; hand_net = sent[w] };
        offers[w]!got;
        atomic { copied[got] = false; hand_closed = true }; /* close */
        atomic { hand_fd = NONE; hand_copied = false; hand_closed = false; hand_channel = 0; hand_net = 0; got = NONE }
    :: empty(back[w]) -> break
    od
}

/* resume_load() in the keeper: nothing is known but the fd table, the journal and the boards */
inline resume()
{
    atomic {
        model_forget_all();
        do
        :: back[0]?_
        :: back[1]?_
        :: len(back[0]) == 0 && len(back[1]) == 0 -> break
        od;
        k = 0;
        model_inherit()
    };
    recount_channel(0);
    recount_channel(1);
    put_back(0);
    put_back(1);
    resumes = true
}

/* recount_rescue() of stray k, then dispatch_pump(), then put_anywhere(): there is room for the next one */
inline model_rescue_next()
{
    if
    :: held != NONE ->
        atomic { got = held; held = NONE };
        if
        :: !closed[0] -> hand(0)
        :: !closed[1] -> hand(1)
        fi;
        got = NONE
    :: atomic { held == NONE && k < CONNECTIONS && in_table[k] -> held = k; k++; pumps = true }
    :: atomic { held == NONE && k < CONNECTIONS && !in_table[k] -> k++ }
    :: atomic {
        held == NONE && k == CONNECTIONS ->
        hand_fd = NONE; hand_copied = false; hand_closed = false; hand_channel = 0; hand_net = 0; /* journal_live.in_hand_fd */
        k = 0; resumes = false; pumps = true
    }
    fi
}

#endif
