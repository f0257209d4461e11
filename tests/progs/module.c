/* module.c - a server in a module that victim_load loads. */
#include "victim.h"

void module_serve(int port);

void module_serve(int port)
{
    serve(make_listener(port));
}
