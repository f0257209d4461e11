/*
 * elf.h - what the bytes of a program or library file say about how it is loaded. Pure: opens
 * nothing, trusts nothing in the bytes, works on any length.
 */
#ifndef SSHIM_BROKER_DIAGNOSE_ELF_H
#define SSHIM_BROKER_DIAGNOSE_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum elf_libc {
    ELF_LIBC_UNKNOWN,
    ELF_LIBC_GLIBC,
    ELF_LIBC_MUSL,
};

struct elf_image {
    unsigned bits;         /* 32 or 64 */
    unsigned machine;      /* EM_... of elf(5) */
    bool foreign;          /* of another word size or byte order than we: nothing below is known */
    char interpreter[256]; /* the dynamic loader, "" = none is asked for */
    enum elf_libc libc;    /* by its loader, or for a library by what it needs */
    bool has_go;           /* holds code that the Go compiler made */
    bool names_listen;     /* its dynamic symbols name listen(2): it calls libc's */
};

/* Fills in *image from the whole file's bytes (borrows). False: this is no ELF file. A damaged one
 * gives what can be read of it. */
bool elf_parse(const void *bytes, size_t size, struct elf_image *image);

/* The libc of a dynamic loader with this path, or ELF_LIBC_UNKNOWN. */
enum elf_libc elf_libc_of_loader(const char *path);

/* Whether it asks for no loader, so that nothing can be preloaded (but a loader itself asks for
 * none either). */
bool elf_is_static(const struct elf_image *image);

#endif
