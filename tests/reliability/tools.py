"""What /proc and the kernel tell about processes, and waiting for conditions."""
import ctypes
import os
import resource
import signal
import socket
import struct
import time

PTRACE_DETACH, PTRACE_SYSCALL, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 24, 0x4206, 0x4207
PTRACE_GET_SYSCALL_INFO, SYSCALL_ENTRY, SYSCALL_EXIT, TRACESYSGOOD = 0x420e, 1, 2, 1
SYS_RECVMSG, SYS_SENDMSG, SYS_CLOSE = {"x86_64": (47, 46, 3), "aarch64": (212, 211, 57)}[os.uname().machine]
OFFER_MIN = 32
WALL = 0x40000000
SYS_PIDFD_GETFD = 438


class Broken(Exception):
    """A condition that did not come about in time."""


def wait_for(condition, what, seconds=20.0, pause=0.01):
    """Returns how many seconds it took, at most `pause` too many."""
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > seconds:
            raise Broken(f"not within {seconds:g} s: {what}")
        time.sleep(pause)
    return time.monotonic() - begun


def stat_fields(pid):
    """State, ppid, ... as in proc(5), from the third field on; None when there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
            return file.read().rpartition(")")[2].split()
    except (OSError, IndexError):
        return None


def is_gone(pid):
    fields = stat_fields(pid)
    return not fields or fields[0] in "ZX"


def is_stopped(pid):
    fields = stat_fields(pid)
    return not fields or fields[0] in "TtZX"


def start_time(pid):
    fields = stat_fields(pid)
    return int(fields[19]) if fields else None


def send_signal(pid, number):
    """False when it was gone already."""
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False


def is_in_mask(pid, name, number):
    """Whether this signal is in a mask of /proc/PID/status."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            mask = next(int(line.split()[1], 16) for line in file if line.startswith(name + ":"))
    except (OSError, StopIteration):
        return False
    return bool(mask >> number - 1 & 1)


def catches(pid, number):
    """Whether the program has a handler for this signal."""
    return is_in_mask(pid, "SigCgt", number)


def fd_links(pid):
    """(number, what it is) of its descriptors; it may close some of them, or end, meanwhile."""
    folder, links = f"/proc/{pid}/fd", []
    try:
        for name in os.listdir(folder):
            try:
                links.append((int(name), os.readlink(f"{folder}/{name}")))
            except OSError:
                pass
    except OSError:
        pass
    return links


def count_fds(pid):
    return len(fd_links(pid))


def borrow_socket(pidfd, number):
    """A copy of another process's socket, or None."""
    fd = ctypes.CDLL(None).syscall(SYS_PIDFD_GETFD, pidfd, number, 0)
    try:
        return socket.socket(fileno=fd) if fd >= 0 else None
    except OSError:
        os.close(fd)
        return None


def is_connection(sock, port):
    try:
        return sock.getsockname()[1] == port and not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except (OSError, IndexError):
        return False


def connections_of(pid, port):
    """How many connections to this local port a process has accepted and not closed."""
    found = 0
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return 0
    for fd, link in fd_links(pid):
        sock = borrow_socket(pidfd, fd) if link.startswith("socket:") else None
        if sock:
            with sock:
                found += is_connection(sock, port)
    os.close(pidfd)
    return found


def lowest_free_fd(pid):
    used = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    return next(number for number in range(len(used) + 1) if number not in used)


def cpu_seconds(pid):
    try:
        with open(f"/proc/{pid}/schedstat", encoding="ascii") as file:
            return int(file.read().split()[0]) * 1e-9
    except (OSError, IndexError):
        return 0.0


def cpu_share(pid, seconds):
    """Share of one core that a process uses during the next seconds."""
    before, begun = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds(pid) - before) / (time.monotonic() - begun)


def resident_kib(pid):
    """Without what it shares with others: the program and the C library come and go with reclaim."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            for line in file:
                if line.startswith("RssAnon:"):
                    return int(line.split()[1])
    except OSError:
        pass
    return 0


def children_of(pid):
    return [int(name) for name in os.listdir("/proc")
            if name.isdigit() and (stat_fields(name) or [0, -1])[1] == str(pid)]


def command_of(pid):
    """The name of its program, as ps shows it; "-" when it is gone."""
    try:
        with open(f"/proc/{pid}/comm", encoding="latin-1") as file:
            return file.read().strip()
    except OSError:
        return "-"


def is_sanitized(pid):
    """AddressSanitizer keeps what is freed, so that its memory says nothing of ours."""
    with open(f"/proc/{pid}/maps", encoding="latin-1") as file:
        return "libasan" in file.read()


def pids_with(entry):
    """Processes that were started with this NAME=VALUE in their environment."""
    wanted, found = entry.encode(), []
    for name in os.listdir("/proc"):
        if not name.isdigit() or is_gone(name):
            continue
        try:
            with open(f"/proc/{name}/environ", "rb") as file:
                if wanted in file.read().split(b"\0"):
                    found.append(int(name))
        except OSError:
            pass
    return found


def name_of(pid):
    try:
        with open(f"/proc/{pid}/comm", encoding="latin-1") as file:
            return file.read().strip()
    except OSError:
        return ""


def free_port(host):
    with socket.socket() as sock:
        sock.bind((host, 0))
        return sock.getsockname()[1]


def answers(address):
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), 2) as client:
            client.sendall(b"f")
            return bool(client.recv(1))
    except OSError:
        return False


def limit_fds(pid, soft):
    """Sets the soft RLIMIT_NOFILE of another process; returns the old one."""
    old_soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    return old_soft


def stop_and_wait(pid):
    """SIGSTOP; returns when it runs no more."""
    send_signal(pid, signal.SIGSTOP)
    wait_for(lambda: is_stopped(pid), f"pid {pid} stops", 5, 0.0005)


class Frozen:
    """A process stopped by ptrace: unlike SIGSTOP its parent is not told. An OSError if it has ended."""

    def __init__(self, pid):
        self.pid = pid
        self.libc = ctypes.CDLL(None, use_errno=True)
        self.libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        self.request(PTRACE_SEIZE, TRACESYSGOOD)
        self.request(PTRACE_INTERRUPT)
        if not os.WIFSTOPPED(os.waitpid(pid, WALL)[1]):
            raise ProcessLookupError(f"pid {pid} ended before it was frozen")

    def request(self, what, data=None):
        if self.libc.ptrace(what, self.pid, None, data) < 0:
            raise OSError(ctypes.get_errno(), f"ptrace of {self.pid}")

    def wait_stop(self):
        wait_for(lambda: os.waitpid(self.pid, WALL | os.WNOHANG)[0], f"pid {self.pid} is frozen", 20, 0.001)

    def next_call_stop(self):
        """(number, None) where a system call begins, (None, what it gave) where it ends."""
        info = ctypes.create_string_buffer(88)
        self.request(PTRACE_SYSCALL)
        self.wait_stop()
        if self.libc.ptrace(PTRACE_GET_SYSCALL_INFO, self.pid, len(info), ctypes.addressof(info)) < 0:
            raise OSError(ctypes.get_errno(), "PTRACE_GET_SYSCALL_INFO")
        value = struct.unpack_from("q", info.raw, 24)[0]
        return {SYSCALL_ENTRY: (value, None), SYSCALL_EXIT: (None, value)}.get(info.raw[0], (None, None))

    def run_until_returned(self, call, least):
        """Runs on, and is frozen again where this system call has just given so much."""
        number = None
        for _ in range(5000):
            begun, gave = self.next_call_stop()
            if number == call and gave is not None and gave >= least:
                return
            number = begun
        raise Broken(f"system call {call} did not give {least}")

    def run_until_received(self):
        self.run_until_returned(SYS_RECVMSG, OFFER_MIN)

    def run_until_sent(self):
        """An offer is in its channel, and the sender has closed its own copy."""
        self.run_until_returned(SYS_SENDMSG, OFFER_MIN)
        self.run_until_returned(SYS_CLOSE, 0)

    def kill(self):
        send_signal(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, WALL)  # it may have been killed by another: only we can wait for it

    def thaw(self):
        try:
            self.request(PTRACE_DETACH)
        except ProcessLookupError:  # it was killed meanwhile
            os.waitpid(self.pid, WALL)
