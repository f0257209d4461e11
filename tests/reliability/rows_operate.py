"""A day of an operator: everything that is done to a pool in service, one after the other, under load."""
import signal

import tools
from pool import Pool
from row import row
from rows_restart import all_new, answered
from tools import wait_for

CONNS_A_WORKER = 200
CHANGED_CONNS_A_WORKER = 150


def done(pool, *command):
    """Each command ends when its work is done, so nothing is waited for here."""
    answer = pool.sshim_says(*command)
    if answer.returncode != 0:
        raise tools.Broken(f"sshim {' '.join(command)}: {answer.returncode} {answer.stdout.strip()}")


def write_settings(pool, conns_a_worker):
    with open(pool.path("pool.conf"), "w", encoding="ascii") as file:
        file.write(f"settle = 0\nmax-conns = {conns_a_worker}\n")


def recycled(pool):
    return pool.log().count("is recycled: ")


def go_on_until(pool, condition, what):
    wait_for(condition, what, 600, pause=0.2)
    wait_for(lambda: len(pool.serving()) == 4, "four workers serve")


def scale(r, pool):
    for _ in range(r.pick(20, 2)):
        done(pool, "scale", "+2")
        r.expect(len(pool.serving()) >= 6, f"{len(pool.serving())} workers serve after scale +2")
        done(pool, "scale", "-2")
        r.expect(set(pool.pids()) == {0, 1, 2, 3}, f"slots {sorted(pool.pids())} are filled after scale -2")
        r.did(2)


def drain(r, pool):
    for number in range(r.pick(20, 2)):
        slot = number % 4
        done(pool, "drain", str(slot))
        r.expect(pool.state_of(slot) == "drained", f"slot {slot} is {pool.state_of(slot)} after drain")
        done(pool, "resume", str(slot))
        r.expect(pool.state_of(slot) != "drained", f"slot {slot} is drained after resume")
        r.did(2)


def change_settings(r, pool):
    write_settings(pool, CHANGED_CONNS_A_WORKER)
    old = pool.pids()
    tools.send_signal(pool.broker_pid(), signal.SIGHUP)
    wait_for(lambda: all_new(pool, old), "HUP replaces all", 60)
    wait_for(lambda: "changed: max-conns" in pool.log(), "HUP has changed --max-conns", 60)
    r.did()


def upgrade(r, pool):
    pid = pool.broker_pid()
    for ask in (lambda: done(pool, "upgrade"), lambda: tools.send_signal(pid, signal.SIGUSR2)):
        keeper = pool.await_keeper()
        ask()
        wait_for(lambda: pool.keeper_pid() not in (None, keeper), "the new program has a keeper", 20)
        r.expect(pool.broker_pid() == pid, "the broker has another pid after an upgrade")
        r.did()


@row("operate", "scale, drain, resume, recycle, HUP with changes, upgrade")
def operate(r):
    pool = Pool("blocking")
    pool.options = ["--config", pool.path("pool.conf")]
    write_settings(pool, CONNS_A_WORKER)
    with pool:
        load = pool.load(clients=16)
        scale(r, pool)
        drain(r, pool)
        change_settings(r, pool)
        upgrade(r, pool)
        wanted = r.pick(200, 5)
        go_on_until(pool, lambda: recycled(pool) >= wanted, f"{wanted} workers are recycled")
        go_on_until(pool, lambda: answered(pool) >= r.pick(100000, 0), "enough connections")
        r.did(recycled(pool))
        result = load.finish()
        r.count(result)
        r.expect(result["started"] >= r.pick(100000, 0), f"only {result['started']} connections")
        r.note(f"{recycled(pool)} workers recycled")
        r.account(pool)
