/* victim_load.c - servers whose sockets are in a module that is loaded at run time, found by this
 * program's own search path. */
#include <dlfcn.h>

#include "victim.h"

static void load(int flags, int port)
{
    void *module = dlopen("module.so", flags);
    if (!module)
        fail(dlerror());
    void (*module_serve)(int) = (void (*)(int))dlsym(module, "module_serve");
    CHECK(module_serve);
    module_serve(port);
}

static void load_plainly(int port, const char *argument)
{
    (void)argument;
    load(RTLD_NOW, port);
}

static void load_deeply(int port, const char *argument)
{
    (void)argument;
    load(RTLD_LAZY | RTLD_GLOBAL | RTLD_DEEPBIND, port);
}

static const struct victim_mode modes[] = {
    {"plain", load_plainly},
    {"deepbind", load_deeply},
    {NULL, NULL},
};

int main(int argc, char **argv)
{
    return run_mode(modes, argc, argv);
}
