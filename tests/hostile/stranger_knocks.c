/*
 * stranger_knocks.c [nowait] - a stranger comes to the workers' socket and leaves at once, again
 * and again; nowait: it does not wait for room in the backlog, but tries again.
 */
#include "hostile.h"

int main(int argc, char **argv)
{
    int flags = argc > 1 && strcmp(argv[1], "nowait") == 0 ? SOCK_NONBLOCK : 0;

    if (getuid() == 0 && (setgid(65534) < 0 || setuid(65534) < 0))
        die("setuid");
    puts("attacks");
    fflush(stdout);
    for (;;)
        close(hostile_knock_with(flags));
}
