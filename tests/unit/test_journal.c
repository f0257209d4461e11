/* test_journal.c - broker/base/journal.c: what outlives a broker is found by the next one. */
#include "broker/base/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "unit.h"

static void counts_are_reserved_zeroed_and_given_back(void)
{
    uint32_t first, second, again;
    struct journal_counts *counts = journal_reserve_counts(&first);

    CHECK(counts && counts == journal_counts_at(first));
    counts->handed = 5;
    CHECK(journal_reserve_counts(&second) && second != first);
    journal_release_counts(first);
    counts = journal_reserve_counts(&again);
    CHECK(again == first && counts->handed == 0);
    journal_release_counts(first);
    journal_release_counts(second);
}

static void when_all_are_in_use_there_are_none(void)
{
    uint32_t numbers[1024];
    unsigned count = 0;

    while (count < 1024 && journal_reserve_counts(&numbers[count]))
        count++;
    CHECK(count > 0 && count < 1024);
    journal_release_counts(numbers[7]);
    CHECK(journal_reserve_counts(&numbers[count]) && numbers[count] == numbers[7]);
    while (count > 0)
        journal_release_counts(numbers[--count]);
    CHECK(journal_counts_at(UINT32_MAX) == journal_counts_at(0)); /* never outside */
}

/* The format follows the first letter. */
static void write_snapshot(const char *text)
{
    size_t size;
    char *room = journal_snapshot_room(&size);

    CHECK(size > strlen(text));
    memcpy(room, text, strlen(text));
    journal_publish_snapshot(strlen(text), (uint16_t)*text);
}

static bool snapshot_is(const char *text)
{
    size_t len;
    uint16_t format;
    const char *bytes = journal_snapshot(&len, &format);

    return bytes && format == (uint16_t)*text && len == strlen(text) &&
           memcmp(bytes, text, len) == 0;
}

static void a_snapshot_is_valid_until_the_next_one_is(void)
{
    size_t size;

    write_snapshot("first");
    CHECK(snapshot_is("first"));
    memcpy(journal_snapshot_room(&size), "killed here", 11);
    CHECK(snapshot_is("first"));
    write_snapshot("second");
    CHECK(snapshot_is("second"));
    write_snapshot("third, in the place of the first");
    CHECK(snapshot_is("third, in the place of the first"));
}

/* However many wait for a helper, the broker notes what it closes itself. */
static void one_closing_place_is_kept(void)
{
    int places[1024];
    unsigned count = 0;

    while (count < 1024 && (places[count] = journal_note_closing(3)) >= 0)
        count++;
    CHECK(count > 0 && count < 1024);
    journal_begin_closing(9);
    CHECK(journal_is_closing(9));
    journal_end_closing();
    CHECK(!journal_is_closing(9));
    while (count-- > 0)
        CHECK(journal_take_closing((uint32_t)places[count]) == 3);
    CHECK(!journal_is_closing(3));
}

static void closing_places_are_taken_once(void)
{
    int places[2] = {journal_note_closing(0), journal_note_closing(7)};

    CHECK(places[0] >= 0 && places[1] >= 0 && places[0] != places[1]);
    CHECK(journal_is_closing(0) && journal_is_closing(7) && !journal_is_closing(8));
    CHECK(journal_take_closing((uint32_t)places[1]) == 7);
    CHECK(journal_take_closing((uint32_t)places[1]) == -1);
    CHECK(journal_take_closing(UINT32_MAX) == -1);
    CHECK(journal_take_closing((uint32_t)places[0]) == 0 && !journal_is_closing(0));
}

static void an_upgrade_is_under_way_until_it_ends(void)
{
    struct journal_upgrade upgrade;

    CHECK(!journal_find_upgrade(&upgrade));
    journal_begin_upgrade(&(struct journal_upgrade){.old_program_fd = 5, .asker_fd = -1});
    CHECK(journal_find_upgrade(&upgrade) && upgrade.old_program_fd == 5 && upgrade.asker_fd == -1);
    journal_end_upgrade();
    CHECK(!journal_find_upgrade(&upgrade));
}

static void another_broker_finds_it(void)
{
    int fd = fcntl(journal_fd(), F_DUPFD_CLOEXEC, 0);
    uint32_t number;

    journal_reserve_counts(&number)->taken = 12;
    CHECK(*journal_live.in_hand_fd == -1);
    *journal_live.in_hand = (struct journal_in_hand){.channel = 3, .net = 2, .handed = 4};
    *journal_live.in_hand_fd = 9;
    *journal_live.turn = 31;
    write_snapshot("pool");
    journal_note_closing(4);
    CHECK(journal_adopt(fd) == 0 && journal_fd() == fd);
    CHECK(journal_counts_at(number)->taken == 12);
    CHECK(*journal_live.in_hand_fd == 9 && journal_live.in_hand->channel == 3 &&
          journal_live.in_hand->net == 2 && journal_live.in_hand->handed == 4);
    CHECK(snapshot_is("pool") && *journal_live.turn == 31 && !journal_is_clean());
    CHECK(!journal_is_closing(4)); /* not the new one's to close */
    journal_mark_clean();
    CHECK(journal_is_clean());
}

static void what_is_no_journal_is_refused(void)
{
    int fd = memfd_create("strange", MFD_CLOEXEC);
    struct journal_counts *before = journal_counts_at(3);

    errno = 0;
    CHECK(ftruncate(fd, 4096) == 0 && journal_adopt(fd) == -1 && errno == EPROTO);
    CHECK(ftruncate(fd, lseek(journal_fd(), 0, SEEK_END)) == 0);
    errno = 0;
    CHECK(journal_adopt(fd) == -1 && errno == EPROTO); /* of the right size, and all zeros */
    CHECK(journal_counts_at(3) == before);
    close(fd);
}

static void one_keeper_claims(void)
{
    journal_set_keeper(7);
    CHECK(!journal_claim_keeper(8, 9) && journal_keeper() == 7);
    CHECK(journal_claim_keeper(7, 9) && journal_keeper() == 9);
    CHECK(!journal_claim_keeper(7, 10) && journal_keeper() == 9);
    CHECK(journal_claim_keeper(9, 9));
}

int main(void)
{
    CHECK(journal_init() == 0);
    unit_run("journal: counts are reserved, zeroed, and given back",
             counts_are_reserved_zeroed_and_given_back);
    unit_run("journal: when all counts are in use there are none",
             when_all_are_in_use_there_are_none);
    unit_run("journal: a snapshot is valid until the next one is",
             a_snapshot_is_valid_until_the_next_one_is);
    unit_run("journal: places for what is to be closed are taken once",
             closing_places_are_taken_once);
    unit_run("journal: a place is kept for what the broker closes itself",
             one_closing_place_is_kept);
    unit_run("journal: an upgrade is under way until it ends",
             an_upgrade_is_under_way_until_it_ends);
    unit_run("journal: of two keepers that have seen the same, one is in charge",
             one_keeper_claims);
    unit_run("journal: another broker finds it", another_broker_finds_it);
    unit_run("journal: what is no journal is refused", what_is_no_journal_is_refused);
    return unit_end();
}
