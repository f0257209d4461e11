/*
 * narrow.c - narrow PORT [old]: a 32-bit server for 127.0.0.1 without any C library, so that it
 * builds where none for 32 bits is installed. Its calls go the way of i386: bind and listen by
 * their own numbers, with `old` by socketcall. Each connection is answered by "pid=PID".
 */
#include <stdint.h>

enum { CALL_EXIT = 1, CALL_WRITE = 4, CALL_CLOSE = 6, CALL_GETPID = 20, CALL_SOCKETCALL = 102 };
enum {
    CALL_SOCKET = 359,
    CALL_BIND = 361,
    CALL_LISTEN = 363,
    CALL_ACCEPT4 = 364,
    CALL_SETSOCKOPT = 366
};
enum { BY_BIND = 2, BY_LISTEN = 4, BY_ACCEPT = 5 };

static long call(long number, long a, long b, long c, long d, long e)
{
    long result;

    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(number), "b"(a), "c"(b), "d"(c), "S"(d), "D"(e)
                     : "memory");
    return result;
}

static long socket_call(int old, long by, long number, long a, long b, long c)
{
    long arguments[3] = {a, b, c};

    if (old)
        return call(CALL_SOCKETCALL, by, (long)arguments, 0, 0, 0);
    return call(number, a, b, c, 0, 0);
}

static void die(int code)
{
    for (;;)
        call(CALL_EXIT, code, 0, 0, 0, 0);
}

static void answer(int fd)
{
    char text[16] = "pid=";
    char digits[12];
    int count = 0;
    int used = 4;

    for (long pid = call(CALL_GETPID, 0, 0, 0, 0, 0); pid > 0; pid /= 10)
        digits[count++] = (char)('0' + pid % 10);
    while (count > 0)
        text[used++] = digits[--count];
    text[used++] = '\n';
    call(CALL_WRITE, fd, (long)text, used, 0, 0);
    call(CALL_CLOSE, fd, 0, 0, 0, 0);
}

static void serve(int argc, char **argv)
{
    int port = 0;
    int old = argc > 2;
    int on = 1;

    for (const char *digit = argc > 1 ? argv[1] : ""; *digit; digit++)
        port = port * 10 + *digit - '0';
    uint8_t address[16] = {2, 0, (uint8_t)(port >> 8), (uint8_t)port, 127, 0, 0, 1};
    int fd = (int)call(CALL_SOCKET, 2, 1, 0, 0, 0);
    call(CALL_SETSOCKOPT, fd, 1, 2, (long)&on, sizeof on);
    if (socket_call(old, BY_BIND, CALL_BIND, fd, (long)address, sizeof address) < 0)
        die(2);
    if (socket_call(old, BY_LISTEN, CALL_LISTEN, fd, 16, 0) < 0)
        die(3);
    for (;;) {
        int connection = (int)socket_call(old, BY_ACCEPT, CALL_ACCEPT4, fd, 0, 0);
        if (connection < 0)
            die(4);
        answer(connection);
    }
}

__attribute__((used)) static void start(long *stack)
{
    serve((int)stack[0], (char **)(stack + 1));
}

__asm__(".globl _start\n_start:\n  movl %esp, %eax\n  andl $-16, %esp\n  subl $12, %esp\n  pushl "
        "%eax\n  call start\n");
