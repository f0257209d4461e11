/*
 * secure LIBRARY PORT - binds by the bind of LIBRARY. Executed with more rights than its starter
 * has (setuid), the loader preloads nothing, so it is loaded here.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    void *library = argc == 3 ? dlopen(argv[1], RTLD_NOW) : NULL;
    int (*bind_by)(int, const struct sockaddr *, socklen_t) =
        library ? (int (*)(int, const struct sockaddr *, socklen_t))dlsym(library, "bind") : NULL;

    if (!bind_by) {
        fprintf(stderr, "secure: %s\n", dlerror());
        return 2;
    }
    name.sin_port = htons((in_port_t)atoi(argv[2]));
    int result =
        bind_by(socket(AF_INET, SOCK_STREAM, 0), (const struct sockaddr *)&name, sizeof name);
    printf("secure=%lu bind=%d\n", getauxval(AT_SECURE), result);
    return 0;
}
