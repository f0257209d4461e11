/* Which call a notification is, by architecture; senseless ones are none. */
#include <linux/audit.h>
#include <stdint.h>
#include <stdlib.h>

#include "broker/share/intercept/filter.h"
#include "tests/unit/unit.h"

static enum filter_call call_of(uint32_t arch, uint32_t number)
{
    return filter_call_of(&(struct seccomp_data){.nr = (int)number, .arch = arch});
}

static void test_each_architecture(void)
{
    CHECK(call_of(AUDIT_ARCH_X86_64, 49) == FILTER_BIND);
    CHECK(call_of(AUDIT_ARCH_X86_64, 0x40000000u | 50) == FILTER_LISTEN); /* x32 */
    CHECK(call_of(AUDIT_ARCH_I386, 102) == FILTER_SOCKETCALL);
    CHECK(call_of(AUDIT_ARCH_I386, 361) == FILTER_BIND);
    CHECK(call_of(AUDIT_ARCH_I386, 49) == FILTER_NONE);
    CHECK(call_of(AUDIT_ARCH_AARCH64, 35) == FILTER_UNLINKAT);
    CHECK(call_of(AUDIT_ARCH_RISCV64, 201) == FILTER_LISTEN);
    CHECK(call_of(AUDIT_ARCH_ARM, 10) == FILTER_UNLINK);
}

static void test_noise(void)
{
    unsigned known = 0;

    srandom(1);
    for (int i = 0; i < 1000000; i++)
        known += call_of((uint32_t)random() << 1, (uint32_t)random()) != FILTER_NONE;
    CHECK(known == 0);
    CHECK(call_of(AUDIT_ARCH_X86_64, UINT32_MAX) == FILTER_NONE);
    CHECK(call_of(0, 49) == FILTER_NONE);
}

int main(void)
{
    unit_run("filter: the calls of each architecture are told apart", test_each_architecture);
    unit_run("filter: a senseless number is no call of ours", test_noise);
    return unit_end();
}
