/* rights.c - see rights.h. Two calls need no libcap. */
#include "broker/base/process/rights.h"

#include <linux/capability.h>
#include <linux/securebits.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define KEPT                                                                                       \
    (1u << CAP_NET_BIND_SERVICE | 1u << CAP_KILL | 1u << CAP_SYS_PTRACE | 1u << CAP_DAC_READ_SEARCH)

bool rights_come_back(void)
{
    return geteuid() == 0 && prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 &&
           !(prctl(PR_GET_SECUREBITS) & SECBIT_NOROOT);
}

bool rights_reduce(bool writes_files)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];

    uint32_t kept = KEPT | (writes_files ? 1u << CAP_DAC_OVERRIDE : 0);

    if (syscall(SYS_capget, &head, data) < 0)
        return false;
    data[0].effective &= kept; /* all of them are among the first 32 */
    data[0].permitted &= kept;
    data[0].inheritable = data[1].effective = data[1].permitted = data[1].inheritable = 0;
    return syscall(SYS_capset, &head, data) == 0;
}
