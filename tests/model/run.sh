#!/bin/sh
# run.sh - checks dispatch.pml, announce.pml, held.pml and slot.pml with spin in each setting, and that each mutation is found. The last
# line is the verdict. Needs spin and a C compiler. Every search is a full one (no bit-state hashing); about a quarter of
# an hour and 3 GiB. MODEL_SECONDS (1200) and MODEL_MIB (6000) bound each search, ONLY="WORD" chooses by what it says.
# shellcheck disable=SC2086 # lists of options
set -eu
cd "$(dirname "$0")"

../../scripts/deps.sh model || exit 1
work=$(mktemp -d "${TMPDIR:-/tmp}/sshim-model.XXXXXX")
trap 'rm -rf "$work"' EXIT
failed=0

# The model tells in comments which functions it stands for; each of them must exist.
for name in $(grep -ohE '\b[a-z_]+\(\)' ./*.pml | tr -d '()' | grep -v '^model_' | sort -u); do
    grep -qrE "\b$name\(" ../../shim ../../broker ../../proto && continue
    echo "NOT OK the model speaks of $name(), which the code does not have"
    failed=$((failed + 1))
done

# judge: what pan.log says. An unfinished search neither holds nor has it found anything.
judge() {
    if grep -q 'errors: 0' "$work/pan.log" && ! grep -qE 'max search depth|out of memory|memory limit' "$work/pan.log"; then
        echo holds
    elif grep -q 'assertion violated' "$work/pan.log"; then
        echo found
    else
        echo unfinished
    fi
}

# check holds|found "WHAT" DEFINES... for $model
check() {
    wanted=$1 what=$2
    shift 2
    case $what in *"${ONLY:-}"*) ;; *) return 0 ;; esac
    rm -f "$work"/pan*
    (cd "$work" && spin "$@" -a "$model" >spin.log 2>&1 &&
        ${CC:-cc} -O2 -w -DSAFETY -DCOLLAPSE "-DMEMLIM=${MODEL_MIB:-6000}" -o pan pan.c) || { cat "$work/spin.log"; exit 1; }
    begun=$(date +%s)
    (cd "$work" && timeout "${MODEL_SECONDS:-1200}" ./pan -E -m1000000 -w25 >pan.log 2>&1) || true
    took=$(($(date +%s) - begun))
    result=$(judge)
    states=$(sed -nE 's/^ *([0-9.e+]+) states, stored.*/\1/p' "$work/pan.log")
    mib=$(sed -nE 's/^ *([0-9]+)[0-9.]*\ttotal actual memory.*/\1/p' "$work/pan.log")
    if [ "$result" = "$wanted" ]; then
        echo "ok     $what ($result, ${states:-0} states, ${mib:-?} MiB, $took s)"
    else
        echo "NOT OK $what: $result, not $wanted (${states:-0} states, $took s)"
        tail -n 5 "$work/pan.log"
        failed=$((failed + 1))
    fi
}

model=$PWD/dispatch.pml
one=-DCONNECTIONS=1
two=-DCONNECTIONS=2
attend="$one -DLOOP0=1 -DATTEND"
check holds "two workers that block in accept" $two
check holds "two workers that block in accept and may look by themselves" $two -DLOOK
check holds "two event loops" $two -DLOOP0=1 -DLOOP1=1
check holds "one of each, and the other may hang while it serves" $two -DLOOP0=1 -DSTUCK
check holds "somebody with fewer connections is waited for" $two -DPATIENCE=1
check holds "a worker is killed" $two -DLOOP0=1 -DKILL_WORKER -DTIMERS
check holds "the broker is killed" $two -DLOOP0=1 -DKILLS=1 -DTIMERS
check holds "the broker is killed, and the next one as well" $one -DKILLS=2 -DTIMERS
check holds "the broker and its keeper are killed, and the workers serve by themselves" $two -DLOOP0=1 -DKILL_BOTH
check holds "offers are recalled too early" $one -DEARLY=2 -DTIMERS
check holds "an event loop attends, the other worker blocks in accept" $attend
check holds "connections come slower while a loop attends" $attend -DSLOWER
check holds "two event loops attend" $attend -DLOOP1=1
check holds "a worker that attends is killed" $attend -DKILL_WORKER -DTIMERS
check holds "the broker is killed while the only loop that is not busy attends" $attend -DALONE -DKILLS=1 -DTIMERS
check found "mutation: a loop that may not take does not tell the broker" $attend -DMUTATE_YIELD_SILENTLY
check found "mutation: nobody looks after what an attending worker left" $attend -DKILL_WORKER -DTIMERS -DMUTATE_NO_LOOKOUT
check found "mutation: no second look after starving was set" $two -DMUTATE_NO_SECOND_LOOK
check found "mutation: the worker looks at starving before it says that it waits" $two -DMUTATE_LOOK_FIRST
check found "mutation: a worker seems to wait until it has counted what it took" $two -DSTUCK -DMUTATE_LOWER_LAST
check found "mutation: nobody comes back to those who were passed over" $two -DPATIENCE=1 -DMUTATE_NO_TICK
check found "mutation: no journal of the connection in hand" $two -DKILLS=1 -DTIMERS -DMUTATE_NO_JOURNAL
check found "mutation: only counters tell what was sent before the broker died" $two -DKILLS=1 -DTIMERS \
    -DMUTATE_NO_LOOK_AT_FDS
check found "mutation: the number in the journal is closed whosever it is" $two -DKILLS=1 -DTIMERS \
    -DMUTATE_CLOSE_BLINDLY
check found "mutation: what the journal named is closed and still in it" $two -DKILLS=2 -DTIMERS -DMUTATE_NO_END
model=$PWD/announce.pml
check holds "what a wait reported is taken by the accept that follows"
check holds "an accept that comes late after a report comes back" -DLATE -DCONNECTIONS=3
check found "mutation: a wait looks before it announces" -DMUTATE_LOOK_FIRST
check found "mutation: the broker looks before it says that it recalls" -DMUTATE_BROKER_LOOKS_FIRST
check found "mutation: the broker does not say that it recalls" -DMUTATE_NO_RECALLING
check found "mutation: accept ends the announcement before it has received" -DMUTATE_CONSUME_FIRST
check found "mutation: an accept that follows a report blocks" -DLATE -DMUTATE_BLOCK
model=$PWD/held.pml
check holds "the broker is killed twice while connections are held" -DKILLS=2
check holds "the broker is killed twice, a hold may time out, and clients are answered that no worker takes" -DKILLS=2 -DTIMEOUTS -DFULL
check found "mutation: a record is there before it names its connection" -DMUTATE_STAGE_FIRST
check found "mutation: a held connection is closed before its record is free" -DTIMEOUTS -DMUTATE_FREE_LAST
check found "mutation: a held connection is offered before its record is free" -DMUTATE_FREE_AFTER_SEND
check found "mutation: the next broker leaves a connection that is in no record" -DMUTATE_NO_RESCUE
check found "mutation: the next broker is not told that a connection was being closed" -DFULL -DMUTATE_NO_NOTE
check found "mutation: a client is answered before its record says so" -DFULL -DMUTATE_ANSWER_FIRST
model=$PWD/slot.pml
check holds "a worker and the broker are killed during a restart" -DKILLS=1 -DCRASHES=1
check holds "the broker is killed twice during a restart" -DKILLS=0 -DCRASHES=2
check holds "a version does not start, a worker and the broker are killed" -DBROKEN=1
check holds "a restart is asked for during a restart" -DRESTARTS=2 -DKILLS=0
check holds "a successor serves once and ends during a restart, and the broker is killed" -DSERVED=1
check holds "fewer workers and more again during a restart, and the broker is killed" -DSCALES=2 -DKILLS=0
check found "mutation: a worker is forked before it is in the journal" -DMUTATE_FORK_FIRST
check found "mutation: a restart during a restart is dropped" -DMUTATE_DROP_AGAIN -DRESTARTS=2 -DKILLS=0
check found "mutation: a slot that has a successor is filled again" -DMUTATE_REFILL_BESIDE -DBROKEN=1
check found "mutation: a successor takes over before it serves" -DMUTATE_TOO_EARLY
check found "mutation: the next broker forgets the restart" -DMUTATE_FORGET_RESTART
check found "mutation: the next broker leaves the successor of a slot that was given up" -DSCALES=2 -DKILLS=0 \
    -DMUTATE_LEAVE_SUCCESSOR
if [ "$failed" = 0 ]; then
    echo "model: all properties hold, every mutation is found"
else
    echo "model: $failed runs did not give what they must"
    exit 1
fi
