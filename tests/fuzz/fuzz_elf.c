/* fuzz_elf.c - broker/diagnose/elf.c: any file may be named as the program of `sshim check`. */
#include <string.h>

#include "broker/diagnose/elf.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct elf_image image;
    bool is_elf = elf_parse(bytes, len, &image);

    MUST(memchr(image.interpreter, '\0', sizeof image.interpreter));
    MUST(is_elf == (image.bits != 0));
    MUST(image.bits == 0 || image.bits == 32 || image.bits == 64);
    MUST(!(image.foreign && elf_is_static(&image)));
    return 0;
}
