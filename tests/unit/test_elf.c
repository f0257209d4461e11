/* test_elf.c - broker/diagnose/elf.c: what real programs say, and that no damage leads it astray.
 */
#include <elf.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "broker/diagnose/elf.h"
#include "unit.h"

/* A program made by hand: its header, four segments, the dynamic section, notes and strings. */
struct program {
    ElfW(Ehdr) head;
    ElfW(Phdr) segments[4];
    ElfW(Dyn) dynamic[4];
    struct {
        ElfW(Nhdr) head;
        char name[4];
        char id[8];
    } note;
    char interpreter[32];
    char strings[48];
};

#define OFFSET(member) offsetof(struct program, member)
#define ADDRESS 0x400000
#define IS_LITTLE (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__)

static ElfW(Phdr) segment_of(uint32_t type, size_t offset, size_t size)
{
    return (ElfW(Phdr)){.p_type = type,
                        .p_offset = offset,
                        .p_vaddr = ADDRESS + offset,
                        .p_filesz = size,
                        .p_memsz = size};
}

/* Dynamic, of glibc, calls listen, no Go. */
static struct program make_program(void)
{
    struct program program = {.interpreter = "/lib64/ld-linux-x86-64.so.2",
                              .strings = "\0libc.so.6\0accept\0listen\0bind"};

    memcpy(program.head.e_ident, ELFMAG, SELFMAG);
    program.head.e_ident[EI_CLASS] = sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32;
    program.head.e_ident[EI_DATA] = IS_LITTLE ? ELFDATA2LSB : ELFDATA2MSB;
    program.head.e_machine = EM_X86_64;
    program.head.e_phoff = OFFSET(segments);
    program.head.e_phentsize = sizeof(ElfW(Phdr));
    program.head.e_phnum = 4;
    program.segments[0] = segment_of(PT_LOAD, 0, sizeof program);
    program.segments[1] = segment_of(PT_INTERP, OFFSET(interpreter), sizeof program.interpreter);
    program.segments[2] = segment_of(PT_DYNAMIC, OFFSET(dynamic), sizeof program.dynamic);
    program.segments[3] = segment_of(PT_NOTE, OFFSET(note), sizeof program.note);
    program.dynamic[0] = (ElfW(Dyn)){DT_NEEDED, {1}};
    program.dynamic[1] = (ElfW(Dyn)){DT_STRTAB, {ADDRESS + OFFSET(strings)}};
    program.dynamic[2] = (ElfW(Dyn)){DT_STRSZ, {sizeof program.strings}};
    program.note.head = (ElfW(Nhdr)){.n_namesz = 4, .n_descsz = 8, .n_type = 3};
    memcpy(program.note.name, "GNU", 4);
    return program;
}

static struct elf_image parse(const struct program *program)
{
    struct elf_image image;

    CHECK(elf_parse(program, sizeof *program, &image));
    return image;
}

static void tells_a_dynamic_program(void)
{
    struct program program = make_program();
    struct elf_image image = parse(&program);

    CHECK(image.bits == 8 * sizeof(void *));
    CHECK(image.machine == EM_X86_64);
    CHECK(!image.foreign);
    CHECK(!elf_is_static(&image));
    CHECK(strcmp(image.interpreter, "/lib64/ld-linux-x86-64.so.2") == 0);
    CHECK(image.libc == ELF_LIBC_GLIBC);
    CHECK(image.names_listen);
    CHECK(!image.has_go);
}

static void tells_a_static_one(void)
{
    struct program program = make_program();

    program.segments[1].p_type = PT_NULL;
    struct elf_image image = parse(&program);
    CHECK(elf_is_static(&image));
    CHECK(image.libc == ELF_LIBC_GLIBC); /* as a library: by what it needs */
}

static void tells_the_libc(void)
{
    struct program program = make_program();

    strcpy(program.interpreter, "/lib/ld-musl-x86_64.so.1");
    CHECK(parse(&program).libc == ELF_LIBC_MUSL);
    strcpy(program.interpreter, "/system/bin/linker64");
    memcpy(program.strings, "\0libx.so.6\0", 11);
    CHECK(parse(&program).libc == ELF_LIBC_UNKNOWN);
    memcpy(program.strings, "\0libc.so\0.6", 11);
    CHECK(parse(&program).libc == ELF_LIBC_MUSL);
    CHECK(elf_libc_of_loader("/nix/store/x/lib/ld-linux-aarch64.so.1") == ELF_LIBC_GLIBC);
    CHECK(elf_libc_of_loader("ld-musl-armhf.so.1") == ELF_LIBC_MUSL);
    CHECK(elf_libc_of_loader("/bin/sh") == ELF_LIBC_UNKNOWN);
}

static void tells_go(void)
{
    struct program program = make_program();

    memcpy(program.note.name, "Go\0", 4);
    program.note.head.n_type = 4;
    CHECK(parse(&program).has_go);
    program.note.head.n_type = 3;
    CHECK(!parse(&program).has_go);
}

static void wants_the_whole_word_listen(void)
{
    struct program program = make_program();

    memcpy(program.strings, "\0libc.so.6\0accept\0listens\0bind", 31);
    CHECK(!parse(&program).names_listen);
    memcpy(program.strings, "\0libc.so.6\0accept\0xlisten\0bind", 31);
    CHECK(!parse(&program).names_listen);
}

static void tells_another_word_size(void)
{
    struct program program = make_program();

    program.head.e_ident[EI_CLASS] = sizeof(void *) == 8 ? ELFCLASS32 : ELFCLASS64;
    struct elf_image image = parse(&program);
    CHECK(image.foreign);
    CHECK(image.bits == (sizeof(void *) == 8 ? 32 : 64));
    CHECK(!elf_is_static(&image)); /* not known */
    program = make_program();
    program.head.e_ident[EI_DATA] = IS_LITTLE ? ELFDATA2MSB : ELFDATA2LSB;
    CHECK(parse(&program).foreign);
}

static void refuses_what_is_no_elf(void)
{
    struct elf_image image;

    CHECK(!elf_parse("", 0, &image));
    CHECK(!elf_parse("\177ELF", 4, &image));
    CHECK(!elf_parse("#!/bin/sh\necho hello hello", 26, &image));
}

/* On the heap, so that a sanitizer or valgrind sees one byte too far. */
static void survives_any_length(void)
{
    struct program program = make_program();

    for (size_t size = 0; size <= sizeof program; size++) {
        struct elf_image image;
        char *bytes = malloc(size ? size : 1);
        memcpy(bytes, &program, size);
        elf_parse(bytes, size, &image);
        CHECK(strnlen(image.interpreter, sizeof image.interpreter) < sizeof image.interpreter);
        free(bytes);
    }
}

static void survives_any_changed_byte(void)
{
    static const unsigned char values[] = {0x00, 0x01, 0x7f, 0x80, 0xff};
    struct program program = make_program();

    for (size_t at = 0; at < sizeof program; at++)
        for (size_t i = 0; i < sizeof values; i++) {
            struct elf_image image;
            char *bytes = malloc(sizeof program);
            memcpy(bytes, &program, sizeof program);
            memset(bytes + at, values[i], at + 8 <= sizeof program ? 8 : 1);
            elf_parse(bytes, sizeof program, &image);
            CHECK(strnlen(image.interpreter, sizeof image.interpreter) < sizeof image.interpreter);
            free(bytes);
        }
}

int main(void)
{
    unit_run("elf: a dynamic program is told by its loader", tells_a_dynamic_program);
    unit_run("elf: a program without a loader is static", tells_a_static_one);
    unit_run("elf: glibc, musl and others are told apart", tells_the_libc);
    unit_run("elf: Go's note is found", tells_go);
    unit_run("elf: only the whole word is the symbol listen", wants_the_whole_word_listen);
    unit_run("elf: another word size or byte order is told and not read", tells_another_word_size);
    unit_run("elf: other files are refused", refuses_what_is_no_elf);
    unit_run("elf: a file cut anywhere is survived", survives_any_length);
    unit_run("elf: any changed bytes are survived", survives_any_changed_byte);
    return unit_end();
}
