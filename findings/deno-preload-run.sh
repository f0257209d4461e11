#!/usr/bin/env bash
# Deno 2.9.6: with LD_PRELOAD in its environment, `--allow-run=echo` no longer allows to run echo.
#
# It is the child's environment that counts, also what it merely inherits and the script never names; LD_LIBRARY_PATH does the same. Only an
# unlimited --allow-run permits it, or a child whose environment is cleared. Through node:child_process the reason is not told.
# One would guess: preloading a library into Deno changes nothing in the permissions of its script.
source "$(dirname "$0")/common.sh"

install_npm @deno/linux-x64-glibc@2.9.6
deno=$work/node_modules/@deno/linux-x64-glibc/deno
export DENO_DIR=$work/deno DENO_NO_UPDATE_CHECK=1
cat >"$work/run.mjs" <<'JS'
import { execFileSync } from 'node:child_process';
function attempt(what, act) {
    try {
        act();
        return what + ' runs';
    } catch (error) {
        return what + ' fails: ' + error.name;
    }
}
console.log([
    attempt('inherited', () => new Deno.Command('echo').outputSync()),
    attempt('cleared', () => new Deno.Command('echo', { clearEnv: true }).outputSync()),
    attempt('node', () => execFileSync('echo')),
].join(', '));
JS
library=$(ldconfig -p | awk '/libm\.so\.6/ { print $NF; exit }')
run() { # ASSIGNMENT OPTION
    env "$1" timeout 20 "$deno" run --allow-env --allow-read "$2" "$work/run.mjs" 2>&1 | tail -n 1
}
expect 'no preload' "$(run A=1 --allow-run=echo)" 'inherited runs, cleared runs, node runs'
expect 'preload' "$(run LD_PRELOAD="$library" --allow-run=echo)" 'inherited fails: NotCapable, cleared runs, node fails: Error'
expect 'preload, all may run' "$(run LD_PRELOAD="$library" --allow-run)" 'inherited runs, cleared runs, node runs'
finish
