/*
 * dispatch.pml - how a connection finds an idle worker: the board, `starving`, wake-ups, direct takes, offers,
 * recalls, and the death of a worker or of the broker. One listener. Steps are as fine as what another process
 * can see between them; comments name the functions of the code.
 *
 * Properties: never is a connection accepted twice (take), and when nothing can move any more none has been lost
 * and none waits while a worker is idle (Judge).
 *
 * Not modelled: --balance source, shortages, probes of workers whose waiting cannot be seen, the pace of timers
 * (a timer may fire at any time, EARLY times, and fires when nothing else can happen).
 *
 * With ATTEND event loops may register the canonical socket in their epoll fd (attend_consider), exclusively as the
 * broker does, and before it: a connection wakes one of them that is in its wait, or else the broker. What the
 * kernel tells whom is then an edge (is_told) until that one looks; without ATTEND the broker always sees the level.
 *
 * Parameters: CONNECTIONS; LOOP0, LOOP1: that worker is an event loop, else it blocks in accept; STUCK: worker 1
 * may stop for ever while it serves; EARLY; KILL_WORKER, KILL_BROKER: may happen once, at any moment.
 * ATTEND: event loops may attend; SLOWER: until the broker says no more, at any moment.
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
#define WORKERS 2
#define NONE 255
#define ANOTHER 254 /* the fd of an offer that is put back */
#define ROUNDS 8 /* of timers when nothing else can happen; each must bring something about */

#define FED 0 /* enum board_starving */
#define BACKLOG 1
#define ASK 2

/* The kernel's. Offers stay in a channel whoever dies: the broker and its keeper hold both ends. */
chan backlog = [CONNECTIONS] of { byte };
chan offers[WORKERS] = [CONNECTIONS] of { byte };
byte wakes[WORKERS];              /* WIRE_WAKE datagrams that the broker has not read */
bool in_table[CONNECTIONS];       /* the broker's fd table holds this connection */
bool held_by[WORKERS * CONNECTIONS]; /* a worker's fd table does */

/* struct board */
byte waiting[WORKERS], taken[WORKERS];
bool waits[WORKERS];
byte starves[WORKERS];
byte sent[WORKERS]; /* as published; the broker's own count is the same */
bool blind[WORKERS];

/* The journal's connection in hand. */
byte hand_fd = NONE;
byte hand_channel;
byte hand_net;

bool dead[WORKERS];
bool stuck[WORKERS];
bool broker_killed;
bool moved[WORKERS]; /* since the broker began to suspect it, see shows_life */
byte accepts[CONNECTIONS];
byte rounds;
bool resting[WORKERS]; /* blocked, idle */

/* The kernel's: the canonical socket in epoll fds. */
bool attends[WORKERS];    /* in this worker's */
bool rests[WORKERS];      /* it did; once is enough to see what can happen */
bool may_attend = true;   /* BOARD_ATTEND; cleared at any moment, then the broker watches the level again */
bool armed = true;        /* the broker watches it */
bool is_told = true;      /* its epoll fd was told of a connection, which it is not any more */

/* What matters in few runs would only multiply the states of the others. */
#ifdef KILL_BROKER
#define IN_TABLE(c, on) in_table[c] = on
#define HOLD(w, c) held_by[w * CONNECTIONS + c] = true
#else
#define IN_TABLE(c, on) skip
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
        if /* __wake_up: whoever is registered first and in its wait; the broker also while it is at work */
        :: may_attend && attends[0] && resting[0] -> resting[0] = false
        :: may_attend && attends[1] && resting[1] -> resting[1] = false
        :: armed -> is_told = true
            :: !may_attend ->
            is_told = true; /* not exclusively: everybody */
            resting[0] = resting[0] && !attends[0];
            resting[1] = resting[1] && !attends[1]
        :: else
        fi
    }
#else
    :: atomic { arrived < CONNECTIONS -> backlog!arrived; arrived++ }
#endif
    :: else -> break
    od
}

/* --- shim --- */

/* board_claim_wake, vlisten_wake_broker */
inline claim_wake(w)
{
    if
    :: starves[w] != FED ->
        atomic { old = starves[w]; starves[w] = FED };
        if
        :: atomic { old != FED -> old = 0; wakes[w]++ }
        :: old == FED
        fi
    :: else
    fi
}

/* wait_begin: board_raise, then the look at `starving` */
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

/* finish_take */
inline finish_take(w)
{
    atomic { taken[w]++; MOVE(w) };
    if
    :: blind[w] -> claim_wake(w)
    :: else
    fi
}

/* take_offer of a thread that blocks: may_take_directly, take_direct, receive_visibly */
inline accept_blocking(w)
{
    if
    :: starves[w] == BACKLOG && sent[w] == taken[w] ->
        if
        :: atomic { backlog?c -> take(w, c) }; goto serve
        :: empty(backlog)
        fi
    :: else
    fi;
    wait_begin(w);
    resting[w] = true;
    atomic { offers[w]?c -> take(w, c); resting[w] = false };
#ifdef MUTATE_LOWER_LAST
    finish_take(w);
    waiting[w]--
#else
    waiting[w]--; /* wait_end */
    finish_take(w)
#endif
}

/* poll or epoll_wait, then accept until there is nothing */
inline accept_polling(w)
{
#ifdef ATTEND
    if /* attend_consider */
    :: may_attend && !rests[w] && starves[w] == FED && sent[w] == taken[w] ->
        atomic { attends[w] = true; rests[w] = true }
    :: attends[w] && !may_attend -> attends[w] = false
    :: else
    fi;
#endif
    wait_begin(w);
#ifdef ATTEND
    atomic { resting[w] = (len(offers[w]) == 0 && !(attends[w] && len(backlog) > 0)) };
    /* woken: by an offer, by the kernel for a connection, by something else than a connection */
    atomic { len(offers[w]) > 0 || (attends[w] && !resting[w]) -> resting[w] = false };
    waiting[w]--;
    if
    :: attends[w] && len(backlog) > 0 -> /* wait_translate, direct_should_try */
        if
        :: sent[w] == taken[w] && starves[w] != ASK ->
            if
            :: atomic { backlog?c -> take(w, c) }; MOVE(w); goto serve
            :: empty(backlog)
            fi
        :: true -> /* attend_yield: it has connections, or an offer is on its way */
            attends[w] = false;
#ifndef MUTATE_YIELD_SILENTLY
            wakes[w]++
#endif
        fi
    :: else
    fi;
#else
    resting[w] = true;
    atomic { nempty(offers[w]) -> resting[w] = false };
    waiting[w]--;
#endif
    if
    :: atomic { offers[w]?c -> take(w, c) }; finish_take(w)
    :: empty(offers[w]) -> goto again /* recalled meanwhile: EAGAIN */
    fi
}

proctype Worker(byte w; bool is_loop)
{
    byte c, old;

    {
        skip;
again:
        if
        :: is_loop -> accept_polling(w)
        :: else -> accept_blocking(w)
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

/* --- broker --- */

inline set_starving(w, value)
{
    starves[w] = value
}

/* channel_untaken; the counters may be wrong, so they are bounded */
inline count_untaken(w)
{
    untaken = (taken[w] >= sent[w] -> 0 : sent[w] - taken[w])
}

/* channel_is_idle. Its reads of the worker's line are three steps; what the broker alone knows is none. */
inline look_at(w)
{
    atomic {
        count_untaken(w);
        idle = false
    };
    if
    :: closed[w]
    :: atomic { !closed[w] && suspect[w] && !moved[w] -> idle = (untaken == 0 && late) }
    :: atomic {
        else ->
        suspect[w] = false;
        unseen = !waits[w];
        blind[w] = unseen
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

/* pick_idle; which of several idle ones gets it does not matter here */
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
    fi
}

inline starve()
{
    atomic {
        value = (held != NONE || stranded[0] || stranded[1] -> ASK : BACKLOG);
        armed = false;
        i = 0
    };
    do
    :: i < WORKERS ->
        if
        :: !is_starving || starving_as != value || woken[i] -> set_starving(i, value)
        :: else
        fi;
        atomic { woken[i] = false; i++ }
    :: else -> break
    od;
    atomic { is_starving = true; starving_as = value; value = 0; i = 0 }
}

inline sate()
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

/* channel_recall, and take_stranded for one channel */
inline recall_from(w)
{
    if
    :: stranded[w] && got == NONE ->
        if
        :: atomic { offers[w]?got -> IN_TABLE(got, true) }; sent[w]--
        :: empty(offers[w]) -> stranded[w] = false
        fi
    :: else
    fi
}

/* take_next: held, stranded, backlog */
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

/* hand, channel_send */
inline hand(w)
{
    sent[w]++;
#ifdef KILL_BROKER
    atomic { hand_fd = got; hand_channel = w; hand_net = sent[w] }; /* journal_begin_send */
    offers[w]!got;
    in_table[got] = false; /* close */
    atomic { hand_fd = NONE; hand_channel = 0; hand_net = 0 } /* journal_end_send */
#else
    offers[w]!got
#endif
}

inline dispatch_pump()
{
    do
    :: true ->
        pick_idle();
        if
        :: picked == NONE ->
            starve();
#ifndef MUTATE_NO_SECOND_LOOK
            pick_idle()
#endif
        :: else
        fi;
        if
        :: picked == NONE -> break
        :: else -> take_next()
        fi;
        if
        :: got == NONE -> sate(); break
        :: else -> hand(picked)
        fi;
        if
        :: armed && !stranded[0] && !stranded[1] -> break
        :: else
        fi
    od;
    atomic { picked = 0; got = NONE }
}

/* recall_on_check, on_overdue: what is outstanding is not taken in time */
inline recall_on_check()
{
    i = 0;
    do
    :: i < WORKERS ->
        count_untaken(i);
        if
        :: untaken > 0 && !closed[i] ->
            atomic { suspect[i] = true; moved[i] = false; stranded[i] = true }
        :: else
        fi;
        i++
    :: else -> break
    od;
    atomic { i = 0; untaken = 0 }
}

inline on_time()
{
    recall_on_check();
    if
    :: is_starving || stranded[0] || stranded[1] -> dispatch_pump() /* on_tick; on_check */
#if defined(ATTEND) && !defined(MUTATE_NO_LOOKOUT)
    :: may_attend && armed && len(backlog) > 0 -> dispatch_pump() /* on_lookout */
#endif
    :: else
    fi
}

inline on_event()
{
    if
#ifdef ATTEND
    :: armed && is_told && len(backlog) > 0 -> dispatch_pump() /* on_canonical_ready */
    :: atomic { armed && is_told && len(backlog) == 0 -> is_told = false }
#ifdef SLOWER
    :: atomic { may_attend -> may_attend = false; is_told = true } /* watch_set_brisk */
#endif
#else
    :: armed && nempty(backlog) -> dispatch_pump() /* on_canonical_ready */
#endif
    :: atomic { wakes[0] > 0 -> wakes[0]--; woken[0] = true }; dispatch_pump() /* dispatch_wake */
    :: atomic { wakes[1] > 0 -> wakes[1]--; woken[1] = true }; dispatch_pump()
    :: atomic { dead[0] && !closed[0] -> closed[0] = true; woken[0] = false; stranded[0] = true };
        dispatch_pump() /* dispatch_close_channel */
    :: atomic { dead[1] && !closed[1] -> closed[1] = true; woken[1] = false; stranded[1] = true };
        dispatch_pump()
#if EARLY > 0
    :: atomic { early < EARLY -> early++ }; on_time()
#endif
#ifdef TIMERS
    :: atomic { timeout && rounds < ROUNDS -> rounds++; late = true }; on_time(); late = false
#endif
    fi
}

/* recount_channel: takes every offer out, so that the channel holds none and the counters can start anew */
inline recount_channel(w)
{
    set_starving(w, FED); /* channel_restore */
    found = 0;
    do
    :: atomic { offers[w]?got -> back[w]!got; found++ }
    :: empty(offers[w]) -> break
    od;
#ifndef MUTATE_NO_LOOK_AT_FDS
    holds = (hand_fd != NONE && hand_channel == w && held_by[w * CONNECTIONS + hand_fd]);
#endif
    sent[w] = taken[w]; /* channel_restart_counters */
    if
    :: hand_fd != NONE && hand_channel == w && (holds || sent[w] + found >= hand_net) ->
        sent_fd = hand_fd
    :: else
    fi
}

/* recount_finish */
inline put_back(w)
{
    do
    :: nempty(back[w]) ->
        back[w]?got;
        sent[w]++;
        hand_fd = ANOTHER; /* channel_send: journal_begin_send */
        offers[w]!got
    :: empty(back[w]) -> break
    od
}

/* resume_load in the keeper: nothing is known but the fd table, the journal and the boards */
inline resume()
{
    atomic {
        is_starving = false; armed = false; held = NONE; got = NONE; sent_fd = NONE; holds = false;
        late = false; starving_as = FED; picked = NONE;
        woken[0] = false; woken[1] = false; stranded[0] = false; stranded[1] = false;
        suspect[0] = false; suspect[1] = false; closed[0] = false; closed[1] = false;
        may_attend = false; is_told = true
    };
    recount_channel(0);
    recount_channel(1);
    put_back(0);
    put_back(1);
    i = 0;
    do
    :: i < CONNECTIONS ->
        if
#if defined(MUTATE_NO_JOURNAL)
        :: in_table[i] ->
#elif defined(MUTATE_JOURNAL_LATE)
        :: in_table[i] && i == sent_fd && i == hand_fd -> in_table[i] = false
        :: in_table[i] && !(i == sent_fd && i == hand_fd) ->
#else
        :: in_table[i] && i == sent_fd -> in_table[i] = false
        :: in_table[i] && i != sent_fd ->
#endif
            assert(held == NONE); /* there is room for one, recount_rescue */
            held = i
        :: else
        fi;
        i++
    :: else -> break
    od;
    atomic { hand_fd = NONE; hand_channel = 0; hand_net = 0; i = 0; found = 0; holds = false; sent_fd = NONE };
    dispatch_pump()
}

active proctype Broker()
{
    bool is_starving, idle, unseen, late, holds;
    bool woken[WORKERS], stranded[WORKERS], suspect[WORKERS], closed[WORKERS];
    byte starving_as, held = NONE, got = NONE, picked, untaken, value, i, early, found;
    byte sent_fd = NONE;
    bool has_died;
    chan back[WORKERS] = [CONNECTIONS] of { byte };

    do
    :: {
        if
        :: has_died -> has_died = false; resume()
        :: else -> on_event()
        fi
    } unless { atomic { broker_killed -> broker_killed = false; has_died = true } }
    od
}

/* --- kill -9, and the judgement --- */

active proctype Killer()
{
    skip;
#ifdef KILL_BROKER
    broker_killed = true;
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
        assert(accepts[c] == 1 || !(resting[0] || resting[1])); /* waits while a worker is idle, or is lost */
        c++
    :: else -> break
    od
}

init
{
    atomic { run Worker(0, LOOP0); run Worker(1, LOOP1) }
}
