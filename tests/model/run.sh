#!/bin/sh
# run.sh - checks dispatch.pml with spin in each of its settings, and that each mutation of it is found. The last
# line is the verdict. Needs spin and a C compiler. Takes a few minutes; MODEL_SECONDS (900) bounds each run.
set -eu
cd "$(dirname "$0")"

command -v spin >/dev/null 2>&1 || apt-get install -y --no-install-recommends spin >/dev/null ||
    { echo "cannot install spin; install it by hand" >&2; exit 1; }
work=$(mktemp -d "${TMPDIR:-/tmp}/sshim-model.XXXXXX")
trap 'rm -rf "$work"' EXIT
failed=0

# check WANTED "WHAT" DEFINES...: WANTED is holds or found; an unfinished search is neither.
check() {
    wanted=$1 what=$2 model=$PWD/dispatch.pml
    shift 2
    (cd "$work" && spin "$@" -a "$model" >spin.log 2>&1 && ${CC:-cc} -O2 -w -DSAFETY -DCOLLAPSE -o pan pan.c) ||
        { cat "$work/spin.log"; exit 1; }
    (cd "$work" && timeout "${MODEL_SECONDS:-900}" ./pan -E -m1000000 >pan.log 2>&1) || true
    if grep -q 'errors: 0' "$work/pan.log" && ! grep -qE 'max search depth|out of memory' "$work/pan.log"; then
        result=holds
    elif grep -q 'assertion violated' "$work/pan.log"; then
        result=found
    else
        result=unfinished
    fi
    states=$(sed -nE 's/^ *([0-9.e+]+) states, stored.*/\1/p' "$work/pan.log")
    if [ "$result" = "$wanted" ]; then
        echo "ok     $what ($result, ${states:-0} states)"
    else
        echo "NOT OK $what: $result, not $wanted"
        tail -n 5 "$work/pan.log"
        failed=$((failed + 1))
    fi
}

two=-DCONNECTIONS=2
check holds "two workers that block in accept" $two
check holds "two event loops" $two -DLOOP0=1 -DLOOP1=1
check holds "one of each, and the other may hang while it serves" $two -DLOOP0=1 -DSTUCK
check holds "a worker is killed" $two -DLOOP0=1 -DKILL_WORKER -DTIMERS
check holds "the broker is killed" $two -DKILL_BROKER -DTIMERS
check holds "the broker is killed, event loops" $two -DLOOP0=1 -DLOOP1=1 -DKILL_BROKER -DTIMERS
check holds "offers are recalled too early" -DCONNECTIONS=1 -DEARLY=2 -DTIMERS
attend="-DCONNECTIONS=1 -DLOOP0=1 -DATTEND"
check holds "an event loop attends, the other worker blocks in accept" $attend
check holds "connections come slower while a loop attends" $attend -DSLOWER
check holds "a worker that attends is killed" $attend -DKILL_WORKER -DTIMERS
check found "mutation: a loop that may not take does not tell the broker" $attend -DMUTATE_YIELD_SILENTLY
check found "mutation: nobody looks after what an attending worker left" $attend -DKILL_WORKER -DTIMERS -DMUTATE_NO_LOOKOUT
check found "mutation: no second look after starving was set" $two -DMUTATE_NO_SECOND_LOOK
check found "mutation: the worker looks at starving before it says that it waits" $two -DMUTATE_LOOK_FIRST
check found "mutation: a worker seems to wait until it has counted what it took" $two -DSTUCK -DMUTATE_LOWER_LAST
check found "mutation: no journal of the connection in hand" $two -DKILL_BROKER -DTIMERS -DMUTATE_NO_JOURNAL
check found "mutation: only counters tell what was sent before the broker died" $two -DKILL_BROKER -DTIMERS \
    -DMUTATE_NO_LOOK_AT_FDS
check found "mutation: the journal is asked after offers were put back" $two -DKILL_BROKER -DTIMERS -DMUTATE_JOURNAL_LATE
if [ "$failed" = 0 ]; then
    echo "model: all properties hold, every mutation is found"
else
    echo "model: $failed runs did not give what they must"
    exit 1
fi
