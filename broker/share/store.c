/* store.c - see store.h. */
#include "broker/share/store.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/options/parse.h"
#include "broker/life/stop.h"
#include "broker/pool/listener.h"

#define PREFIX "sshim-listener-" /* and the inode: one socket has it as long as it lives */
#define TEXT_SIZE 96

static unsigned room; /* how many the manager keeps */
static ino_t kept[JOURNAL_LISTENERS_MAX];
static unsigned count;

bool store_is_name(const char *name)
{
    return strncmp(name, PREFIX, strlen(PREFIX)) == 0;
}

void store_note(ino_t ino)
{
    if (count < JOURNAL_LISTENERS_MAX)
        kept[count++] = ino;
}

void store_begin(void)
{
    const char *text = getenv("FDSTORE");
    const struct listener *listener;

    if (!text || !option_parse_number(text, 0, UINT_MAX, &room))
        room = 0;
    TAILQ_FOREACH(listener, &listeners, all)
        if (listener->stored)
            store_note(listener->canonical_ino);
}

/* A file's name is given anew by each copy, and workers look for it in places of their own. */
static bool is_fit(const struct listener *listener)
{
    return listener->listening && !listener->shut && !listener->inherited && !listener->stored &&
           listener->canonical_ino != 0 && listener->socket.netns == 0 &&
           !address_is_path(&listener->key);
}

static struct listener *find(ino_t ino)
{
    struct listener *listener;

    TAILQ_FOREACH(listener, &listeners, all)
        if (listener->stored && !listener->shut && listener->canonical_ino == ino)
            return listener;
    return NULL;
}

static bool forget(store_tell *tell, ino_t ino)
{
    char text[TEXT_SIZE];

    snprintf(text, sizeof text, "FDSTOREREMOVE=1\nFDNAME=" PREFIX "%ju", (uintmax_t)ino);
    return tell(text, -1);
}

static void keep(store_tell *tell, struct listener *listener)
{
    char text[TEXT_SIZE];

    /* It is never at end of file: the manager need not look (FDPOLL). */
    snprintf(text, sizeof text, "FDSTORE=1\nFDPOLL=0\nFDNAME=" PREFIX "%ju",
             (uintmax_t)listener->canonical_ino);
    if (!tell(text, listener->canonical_fd))
        return;
    listener_set_stored(listener);
    store_note(listener->canonical_ino);
}

void store_review(store_tell *tell)
{
    struct listener *listener;

    if ((room == 0 && count == 0) || stop_is_announced())
        return;
    for (unsigned i = 0; i < count; i++)
        if (!find(kept[i]) && forget(tell, kept[i]))
            kept[i--] = kept[--count];
    TAILQ_FOREACH(listener, &listeners, all) {
        if (listener->stored && listener->inherited && listener->listening)
            listener_set_own(listener); /* a worker asked for it */
        if (count < room && is_fit(listener))
            keep(tell, listener);
    }
}
