/*
 * slot.pml - the life of the slots of a pool: who fills each one, through kills of workers, versions that do not start,
 * restarts, another number of workers, and kills of the broker at each step. The table in slot.h has the same rows: "row:"
 * says which one a step is, and which functions do it. tests/model.bats compares.
 *
 * Not here: servers that joined, which no restart replaces (adopt_joiner(), move_joined()), and --once: who ends by itself is not
 * replaced, but by a restart (slot_set_ended()).
 *
 * Holds: the broker ends no worker that serves unless another one serves in its slot, or the slot is given up. When nothing
 * is left to happen, each wanted slot has one worker that serves, no process is left that no slot knows, no restart is under
 * way, and unless it was aborted each worker is of the last generation that was asked for.
 *
 * KILLS, CRASHES, RESTARTS, BROKEN, SERVED, SCALES: how often each may happen.
 */
#ifndef KILLS
#define KILLS 1
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef RESTARTS
#define RESTARTS 1
#endif
#ifndef BROKEN
#define BROKEN 0
#endif
#ifndef SERVED
#define SERVED 0
#endif
#ifndef SCALES
#define SCALES 0
#endif

#define SLOTS 2
#define WORKERS 12
#define NOBODY 0 /* workers are numbered from 1 */

mtype = { DEAD, STARTING, SERVES, DRAINS };

/* The world: what each process does, and which version it is. */
mtype process[WORKERS];
byte generation_of[WORKERS];
byte started = 0;
byte kills = KILLS, crashes = CRASHES, restarts = RESTARTS, broken = BROKEN, served = SERVED, scales = SCALES;

/* What the broker knows, and what of it is in the journal. */
typedef slot {
    byte worker;    /* NOBODY: is to be started again */
    byte successor; /* NOBODY: none */
    bool ready;     /* the worker serves, and was seen to */
    bool respawn    /* a timer will fill it */
}
typedef pool {
    slot at[SLOTS];
    byte wanted;
    byte generation;
    bool is_restarting, again
}
pool now, saved;
bool was_aborted = false;
byte last_asked = 0; /* the generation that a restart was asked for last */

inline state_save()
{
    d_step {
        k = 0;
        do
        :: k < SLOTS ->
            saved.at[k].worker = now.at[k].worker;
            saved.at[k].successor = now.at[k].successor;
            saved.at[k].ready = now.at[k].ready;
            k++
        :: else -> break
        od;
        saved.wanted = now.wanted;
        saved.generation = now.generation;
        saved.is_restarting = now.is_restarting;
        saved.again = now.again;
        k = 0
    }
}

/* A kill -9 of the broker between two steps: the next one goes on from the journal. */
#define CRASH                                                                                                          \
    if                                                                                                                 \
    :: crashes > 0 -> crashes--; goto resume                                                                           \
    :: true                                                                                                            \
    fi

/* The record is in the journal before there is a process. */
inline slot_start_worker(place)
{
    started++;
    assert(started < WORKERS);
    place = started;
    generation_of[started] = now.generation;
#ifndef MUTATE_FORK_FIRST
    state_save();
#endif
    CRASH;
    process[started] = STARTING;
    CRASH
}

inline drain_begin(who)
{
    if
    :: who != NOBODY && process[who] != DEAD -> process[who] = DRAINS
    :: else
    fi
}

/* finish(): another restart that was asked for meanwhile follows. */
inline finish()
{
    now.is_restarting = false;
#ifndef MUTATE_DROP_AGAIN
    if
    :: now.again -> now.again = false; now.is_restarting = true; now.generation++; last_asked = now.generation; was_aborted = false
    :: else
    fi
#else
    now.again = false
#endif
}

/* Each successor drains; if its slot has no other worker, it fills the slot.
 * row: none | starting | restart ends: abort_with(), give_up_successors(), keep() */
inline abort_with()
{
    was_aborted = true;
    i = 0;
    do
    :: i < SLOTS ->
        if
        :: now.at[i].successor != NOBODY && now.at[i].worker != NOBODY ->
            drain_begin(now.at[i].successor);
            now.at[i].successor = NOBODY
        :: now.at[i].successor != NOBODY && now.at[i].worker == NOBODY ->
            now.at[i].worker = now.at[i].successor;
            now.at[i].successor = NOBODY;
            now.at[i].ready = false
        :: else
        fi;
        i++
    :: else -> break
    od;
    finish()
}

/* The successor serves, the old one drains.
 * row: any | starting | settled: look_at(), promote() */
inline promote(s)
{
    old = now.at[s].worker;
    now.at[s].worker = now.at[s].successor;
    now.at[s].successor = NOBODY;
    now.at[s].ready = true;
    assert(process[now.at[s].worker] == SERVES || process[now.at[s].worker] == DEAD);
    drain_begin(old);
    old = NOBODY
}

#define IS_NEW(w) (generation_of[w] == now.generation)
#define SUCCESSORS ((now.at[0].successor != NOBODY) + (now.at[1].successor != NOBODY))
#define IS_OVER(s) (s >= now.wanted || (now.at[s].worker != NOBODY && now.at[s].ready && IS_NEW(now.at[s].worker)))

#define HAPPENS_TO(s)                                                                                                  \
    ((now.at[s].worker != NOBODY && process[now.at[s].worker] == (now.at[s].ready -> DEAD : SERVES)) ||                \
     (now.at[s].worker != NOBODY && process[now.at[s].worker] == DEAD) || now.at[s].respawn ||                         \
     (now.at[s].successor != NOBODY && process[now.at[s].successor] != STARTING) ||                                    \
     (now.is_restarting && s < now.wanted && SUCCESSORS == 0 &&                                                        \
      (now.at[s].worker == NOBODY || !IS_NEW(now.at[s].worker))))
#define HAPPENS (restarts > 0 || scales > 0 || (now.is_restarting && SUCCESSORS == 0 && IS_OVER(0) && IS_OVER(1)))

proctype model_broker()
{
    byte i = 0, k = 0, s = 0, old = NOBODY;

    now.wanted = SLOTS;
    state_save();
    slot_start_worker(now.at[0].worker);
    slot_start_worker(now.at[1].worker);
    state_save();

turn:
    do
    :: if
       :: HAPPENS_TO(0) || HAPPENS -> s = 0
       :: HAPPENS_TO(1) || HAPPENS -> s = 1
       fi;
       if
       /* row: starting | none | it listens: fleet_on_listen(), slot_mark_ready() */
       :: now.at[s].worker != NOBODY && !now.at[s].ready && process[now.at[s].worker] == SERVES -> now.at[s].ready = true
       /* refill() unless a successor fills the slot.
        * row: any | none | it ends: fleet_on_end(), take_leave(), refill()
        * row: any | starting | it ends: fleet_on_end(), take_leave() */
       :: now.at[s].worker != NOBODY && process[now.at[s].worker] == DEAD ->
           old = now.at[s].worker;
           now.at[s].worker = NOBODY;
           now.at[s].ready = false;
           if
           :: now.is_restarting && IS_NEW(old) -> abort_with()
           :: else
           fi;
           old = NOBODY;
#ifndef MUTATE_REFILL_BESIDE
           now.at[s].respawn = s < now.wanted && now.at[s].worker == NOBODY && now.at[s].successor == NOBODY
#else
           now.at[s].respawn = s < now.wanted && now.at[s].worker == NOBODY
#endif
       /* row: any | starting | it served and ended: fleet_on_end(), restart_on_served(), refill() */
       :: served > 0 && now.at[s].successor != NOBODY && now.at[s].worker != NOBODY &&
          process[now.at[s].successor] == DEAD && !IS_NEW(now.at[s].worker) ->
           served--;
           drain_begin(now.at[s].worker);
           now.at[s].worker = NOBODY;
           now.at[s].successor = NOBODY;
           now.at[s].ready = false;
           now.at[s].respawn = s < now.wanted
       /* row: any | starting | successor ends: fleet_on_end(), take_leave(), restart_on_failure(), abort_with() */
       :: now.at[s].successor != NOBODY && process[now.at[s].successor] == DEAD ->
           now.at[s].successor = NOBODY;
           abort_with();
           now.at[s].respawn = s < now.wanted && now.at[s].worker == NOBODY
       /* row: none | none | back-off is over: on_respawn(), fleet_fill() */
       :: now.at[s].respawn ->
           now.at[s].respawn = false;
           assert(now.at[s].worker == NOBODY);
           slot_start_worker(now.at[s].worker)
       /* row: any | none | turn in a restart: step(), start_successor() */
       :: now.is_restarting && s < now.wanted && SUCCESSORS == 0 && now.at[s].successor == NOBODY &&
          (now.at[s].worker == NOBODY || !IS_NEW(now.at[s].worker)) ->
           now.at[s].respawn = false;
           slot_start_worker(now.at[s].successor)
       /* succession_is_complete() for --settle */
#ifndef MUTATE_TOO_EARLY
       :: now.at[s].successor != NOBODY && process[now.at[s].successor] == SERVES -> promote(s); CRASH
#else
       :: now.at[s].successor != NOBODY -> promote(s); CRASH
#endif
       :: now.is_restarting && SUCCESSORS == 0 && IS_OVER(0) && IS_OVER(1) -> finish()
       /* restart_begin() */
       :: restarts > 0 && !now.is_restarting ->
           restarts--;
           now.generation++;
           now.is_restarting = true;
           was_aborted = false;
           last_asked = now.generation;
           state_save() /* before it is answered */
       :: restarts > 0 && now.is_restarting -> restarts--; now.again = true; last_asked = now.generation + 1; state_save()
       /* row: any | any | slot is given up: scale_begin(), shrink(), empty()
        * row: none | none | number is raised: scale_begin(), grow(), fleet_fill() */
       :: scales > 0 && now.wanted == SLOTS ->
           scales--;
           now.wanted = SLOTS - 1;
           now.at[1].respawn = false;
           state_save();
           CRASH;
           drain_begin(now.at[1].worker);
           drain_begin(now.at[1].successor);
           now.at[1].worker = NOBODY;
           now.at[1].successor = NOBODY;
           now.at[1].ready = false
       :: scales > 0 && now.wanted < SLOTS ->
           scales--;
           now.wanted = SLOTS;
           now.at[1].respawn = true
       :: else
       fi;
       CRASH;
       state_save()
    od;

resume: /* row: any | any | broker is killed: state_load(), resume_worker(), adopt_finish(), give_up_slot(), restart_resume() */
    skip;
    d_step {
        i = 0;
        do
        :: i < SLOTS ->
            now.at[i].worker = saved.at[i].worker;
            now.at[i].successor = saved.at[i].successor;
            now.at[i].ready = saved.at[i].ready;
            if
            :: now.at[i].worker != NOBODY && process[now.at[i].worker] == DEAD -> now.at[i].worker = NOBODY; now.at[i].ready = false
            :: else
            fi;
            now.at[i].respawn = false;
            i++
        :: else -> break
        od;
        now.wanted = saved.wanted;
        now.generation = saved.generation;
        now.is_restarting = saved.is_restarting;
        now.again = saved.again;
#ifdef MUTATE_FORGET_RESTART /* all of it */
        now.is_restarting = false; now.again = false;
#endif
        i = 0;
        do
        :: i < SLOTS ->
            now.at[i].respawn = i < now.wanted && now.at[i].worker == NOBODY && now.at[i].successor == NOBODY;
            if
            :: i >= now.wanted ->
                if
                :: now.at[i].worker != NOBODY -> process[now.at[i].worker] = DRAINS
                :: else
                fi;
#ifndef MUTATE_LEAVE_SUCCESSOR
                if
                :: now.at[i].successor != NOBODY -> process[now.at[i].successor] = DRAINS
                :: else
                fi;
#endif
                now.at[i].worker = NOBODY; now.at[i].successor = NOBODY; now.at[i].ready = false
            :: else
            fi;
            i++
        :: else -> break
        od;
        i = 0
    }
    goto turn
}

/* Each process starts, serves, and ends when it drains; the operator and chance kill some. */
proctype model_world()
{
    byte w = 1;

    do
    :: atomic { process[1] == STARTING || process[1] == DRAINS -> w = 1; goto acts }
    :: atomic { process[2] == STARTING || process[2] == DRAINS -> w = 2; goto acts }
    :: atomic { process[3] == STARTING || process[3] == DRAINS -> w = 3; goto acts }
    :: atomic { process[4] == STARTING || process[4] == DRAINS -> w = 4; goto acts }
    :: atomic { process[5] == STARTING || process[5] == DRAINS -> w = 5; goto acts }
    :: atomic { process[6] == STARTING || process[6] == DRAINS -> w = 6; goto acts }
    :: atomic { process[7] == STARTING || process[7] == DRAINS -> w = 7; goto acts }
    :: atomic { process[8] == STARTING || process[8] == DRAINS -> w = 8; goto acts }
    :: atomic { process[9] == STARTING || process[9] == DRAINS -> w = 9; goto acts }
    :: atomic { process[10] == STARTING || process[10] == DRAINS -> w = 10; goto acts }
    :: atomic { process[11] == STARTING || process[11] == DRAINS -> w = 11; goto acts }
    :: atomic { kills > 0 && process[now.at[0].worker] == SERVES -> kills--; process[now.at[0].worker] = DEAD }
    :: atomic { kills > 0 && process[now.at[1].worker] == SERVES -> kills--; process[now.at[1].worker] = DEAD }
    :: atomic { kills > 0 && process[now.at[0].successor] == SERVES -> kills--; process[now.at[0].successor] = DEAD }
acts:
       atomic {
           if
           :: process[w] == STARTING -> process[w] = SERVES
           :: process[w] == STARTING && broken > 0 && generation_of[w] > 0 -> broken--; process[w] = DEAD
           :: process[w] == DRAINS -> process[w] = DEAD
           :: else
           fi
       }
    od
}

#define FILLED(s) (now.at[s].worker != NOBODY && now.at[s].ready && process[now.at[s].worker] == SERVES && now.at[s].successor == NOBODY)
#define AS_WANTED(s) (s < now.wanted -> FILLED(s) : (now.at[s].worker == NOBODY && now.at[s].successor == NOBODY))

init {
    byte w = 1, living = 0;

    w = 0;
    do
    :: w < WORKERS -> process[w] = DEAD; w++
    :: else -> break
    od;
    run model_broker();
    run model_world();
    timeout;
    w = 1;
    do
    :: w < WORKERS && process[w] != DEAD -> living++; w++
    :: w < WORKERS && process[w] == DEAD -> w++
    :: else -> break
    od;
    assert(AS_WANTED(0) && AS_WANTED(1));
    assert(living == now.wanted);
    assert(!now.is_restarting && !now.again);
    assert(was_aborted || generation_of[now.at[0].worker] == last_asked);
    assert(was_aborted || now.wanted < SLOTS || generation_of[now.at[1].worker] == last_asked)
}
