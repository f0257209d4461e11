/* fuzz_elf.c - broker/elf.c: any file may be named as the program of `sshim check`. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "broker/elf.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct elf_image image;
    bool is_elf = elf_parse(bytes, size, &image);

    if (strnlen(image.interpreter, sizeof image.interpreter) == sizeof image.interpreter ||
        (is_elf && image.bits != 32 && image.bits != 64) || (!is_elf && image.bits))
        abort();
    elf_is_static(&image);
    return 0;
}
