/* test_default_name.c - broker/cli/default_name.c: the name of an instance that nobody has named.
 */
#include <string.h>

#include "broker/cli/default_name.h"
#include "unit.h"

#define NAMED(expected, ...)                                                                       \
    do {                                                                                           \
        char *command[] = {__VA_ARGS__, NULL};                                                     \
        char name[64];                                                                             \
        default_name(command, name, sizeof name);                                                  \
        CHECK(strcmp(name, expected) == 0);                                                        \
    } while (0)

static void test_programs(void)
{
    NAMED("nginx", "/usr/sbin/nginx", "-g", "daemon off;");
    NAMED("shop.py", "./shop.py", "8080");
    NAMED("my_server", "my server");
    NAMED("pythonista", "pythonista", "x.py");
}

static void test_scripts(void)
{
    NAMED("shop.py", "python3", "/srv/shop.py", "8080");
    NAMED("shop.py", "/usr/bin/python3.11", "-u", "-W", "ignore", "shop.py");
    NAMED("http.server", "python3", "-m", "http.server", "80");
    NAMED("http.server", "python3", "-um", "http.server");
    NAMED("app.js", "node", "--inspect", "-r", "x.js", "app.js");
    NAMED("start.sh", "sh", "-e", "start.sh");
    NAMED("-odd.sh", "bash", "--", "./-odd.sh");
    NAMED("app.pl", "perl", "-I", "lib", "-w", "app.pl");
}

/* There is none, or it is the argument itself. */
static void test_no_script(void)
{
    NAMED("python3", "python3", "-c", "import this");
    NAMED("python3", "python3");
    NAMED("python3", "python3", "-");
    NAMED("bash", "bash", "-ec", "exec server");
    NAMED("php", "php", "-S", "127.0.0.1:80", "router.php");
    NAMED("python3", "python3", "-m");
}

static void test_no_command(void)
{
    char name[64];

    default_name(NULL, name, sizeof name);
    CHECK(strcmp(name, "sshim") == 0);
}

int main(void)
{
    unit_run("default name: of a program it is the base name", test_programs);
    unit_run("default name: of an interpreter it is that of the script or module", test_scripts);
    unit_run("default name: without a script it is the interpreter's", test_no_script);
    unit_run("default name: without a command it is ours", test_no_command);
    return unit_end();
}
