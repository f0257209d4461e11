/* test_elastic.c - broker/operate/steer/elastic.c: how many workers a load gets, in a time that is
 * only counted. */
#include "broker/operate/steer/elastic.h"
#include "unit.h"

#define LOOK_MS 200

static const struct elastic_rule rule = {.low = 2, .high = 8, .idle_ms = 60000};

static struct {
    int64_t now_ms, spare_since_ms;
    unsigned workers;
    unsigned ups, downs;
} pool;

static void begin(unsigned workers)
{
    pool.now_ms = pool.spare_since_ms = 1000;
    pool.workers = workers;
    pool.ups = pool.downs = 0;
}

/* A load that keeps so many workers busy, for this long. */
static void load(unsigned busy, int64_t ms)
{
    for (int64_t end_ms = pool.now_ms + ms; pool.now_ms < end_ms; pool.now_ms += LOOK_MS) {
        const struct elastic_look look = {.workers = pool.workers,
                                          .waited = busy > pool.workers,
                                          .idle = busy < pool.workers,
                                          .now_ms = pool.now_ms};
        unsigned wanted = elastic_decide(&rule, &look, &pool.spare_since_ms);
        pool.ups += wanted > pool.workers;
        pool.downs += wanted < pool.workers;
        pool.workers = wanted;
    }
}

static void grows(void)
{
    begin(2);
    load(5, 10000);
    CHECK(pool.workers == 5 && pool.ups == 3 && pool.downs == 0);
    load(100, 10000);
    CHECK(pool.workers == rule.high && pool.downs == 0);
}

static void shrinks(void)
{
    begin(8);
    load(0, 59000);
    CHECK(pool.workers == 8);
    load(0, 2000);
    CHECK(pool.workers == 7);
    load(0, 58000);
    CHECK(pool.workers == 7);
    load(0, 600000);
    CHECK(pool.workers == rule.low && pool.ups == 0 && pool.downs == 6);
}

/* Ten hours of a square wave of any period up to --scale-idle: it grows to the peak, and stays. */
static void never_flaps(void)
{
    for (int64_t half_ms = LOOK_MS; half_ms <= 30000; half_ms *= 2) {
        begin(2);
        while (pool.now_ms < 36000000) {
            load(6, half_ms);
            load(0, half_ms);
        }
        CHECK(pool.workers == 6 && pool.ups == 4 && pool.downs == 0);
    }
}

/* Slower ones are followed: no step down within --scale-idle of any other step. */
static void follows_slow_waves(void)
{
    begin(2);
    for (int i = 0; i < 5; i++) {
        load(6, 600000);
        CHECK(pool.workers == 6);
        load(1, 600000);
        CHECK(pool.workers == 2);
    }
    CHECK(pool.ups == 20 && pool.downs == 20);
}

static void waits_for_the_last_step(void)
{
    struct elastic_look look = {.workers = 2, .waited = true, .settles = true, .now_ms = 2000};
    int64_t since_ms = 1000;

    CHECK(elastic_decide(&rule, &look, &since_ms) == 2);
    look.settles = false;
    CHECK(elastic_decide(&rule, &look, &since_ms) == 3 && since_ms == 2000);
    look = (struct elastic_look){.workers = 3, .idle = true, .settles = true, .now_ms = 70000};
    CHECK(elastic_decide(&rule, &look, &since_ms) == 3);
    look.settles = false;
    CHECK(elastic_decide(&rule, &look, &since_ms) == 2);
}

/* `sshim scale` may have set any number. */
static void goes_on_from_any_number(void)
{
    begin(20);
    load(30, 10000);
    CHECK(pool.workers == 20);
    load(0, 6000000);
    CHECK(pool.workers == rule.low);
    begin(1);
    load(0, 600000);
    CHECK(pool.workers == 1);
    load(3, 10000);
    CHECK(pool.workers == 3);
}

int main(void)
{
    unit_run("elastic: grows while connections wait, up to the limit", grows);
    unit_run("elastic: ends one worker after each time of idleness, down to the limit", shrinks);
    unit_run("elastic: never flaps under a square wave", never_flaps);
    unit_run("elastic: follows a slow wave", follows_slow_waves);
    unit_run("elastic: waits until the last step is done", waits_for_the_last_step);
    unit_run("elastic: goes on from any number", goes_on_from_any_number);
    return unit_end();
}
