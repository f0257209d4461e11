/*
 * elf.c - see elf.h. Every read goes through read_at() or text_at(), which know the file's end;
 * every loop is bounded by what the file can hold.
 */
#include "broker/diagnose/elf.h"

#include <elf.h>
#include <link.h> /* ElfW: the structures of our own word size */
#include <stdio.h>
#include <string.h>

#define NOTE_GO_BUILD_ID 4

/* More than any linker makes, so that a hostile file costs no time. */
#define SEGMENTS_MAX 256
#define SECTIONS_MAX 65280
#define ENTRIES_MAX 4096
#define NOTES_MAX 256
#define TEXT_MAX 4096

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define OUR_BYTE_ORDER ELFDATA2LSB
#else
#define OUR_BYTE_ORDER ELFDATA2MSB
#endif
#define OUR_CLASS (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)

struct file {
    const unsigned char *bytes;
    size_t size;
    ElfW(Ehdr) head;
};

struct dynamic {
    uint64_t strings; /* offset in the file */
    uint64_t strings_size;
};

/* Copies, since nothing in a file need be aligned. False: not all of it is inside the file. */
static bool read_at(const struct file *file, uint64_t offset, void *to, size_t len)
{
    if (offset > file->size || len > file->size - offset)
        return false;
    memcpy(to, file->bytes + offset, len);
    return true;
}

/* The string at this place, or NULL when it does not end there. */
static const char *text_at(const struct file *file, uint64_t offset)
{
    if (offset >= file->size)
        return NULL;
    size_t room = file->size - offset < TEXT_MAX ? file->size - offset : TEXT_MAX;
    if (!memchr(file->bytes + offset, '\0', room))
        return NULL;
    return (const char *)file->bytes + offset;
}

static bool read_segment(const struct file *file, unsigned i, ElfW(Phdr) * segment)
{
    uint64_t offset = file->head.e_phoff;

    return file->head.e_phentsize == sizeof *segment && i < file->head.e_phnum &&
           i < SEGMENTS_MAX && offset <= file->size &&
           read_at(file, offset + i * sizeof *segment, segment, sizeof *segment);
}

static bool read_section(const struct file *file, unsigned i, ElfW(Shdr) * section)
{
    uint64_t offset = file->head.e_shoff;

    return file->head.e_shentsize == sizeof *section && i < file->head.e_shnum &&
           i < SECTIONS_MAX && offset <= file->size &&
           read_at(file, offset + i * sizeof *section, section, sizeof *section);
}

/* --- which libc --- */

static bool begins_with(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

enum elf_libc elf_libc_of_loader(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash ? slash + 1 : path;

    if (begins_with(name, "ld-musl"))
        return ELF_LIBC_MUSL;
    if (begins_with(name, "ld-linux") || begins_with(name, "ld.so") || begins_with(name, "ld64.so"))
        return ELF_LIBC_GLIBC;
    return ELF_LIBC_UNKNOWN;
}

static enum elf_libc libc_of_needed(const char *name)
{
    if (strcmp(name, "libc.so") == 0 || begins_with(name, "libc.musl"))
        return ELF_LIBC_MUSL;
    return strcmp(name, "libc.so.6") == 0 ? ELF_LIBC_GLIBC : ELF_LIBC_UNKNOWN;
}

static void read_interpreter(const struct file *file, const ElfW(Phdr) * segment,
                             struct elf_image *image)
{
    const char *path = text_at(file, segment->p_offset);

    if (!path || !*path)
        return;
    snprintf(image->interpreter, sizeof image->interpreter, "%s", path);
    image->libc = elf_libc_of_loader(path);
}

/* --- the dynamic section --- */

/* Where the bytes of this address are in the file; its size when they are not. */
static uint64_t offset_of(const struct file *file, uint64_t address)
{
    ElfW(Phdr) segment;

    for (unsigned i = 0; read_segment(file, i, &segment); i++)
        if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
            address - segment.p_vaddr < segment.p_filesz)
            return address - segment.p_vaddr + segment.p_offset;
    return file->size;
}

/* The n-th entry; false: it is the last one, or not in the file. */
static bool read_entry(const struct file *file, const ElfW(Phdr) * segment, uint64_t n,
                       ElfW(Dyn) * entry)
{
    return n < ENTRIES_MAX && n < segment->p_filesz / sizeof *entry &&
           segment->p_offset <= file->size &&
           read_at(file, segment->p_offset + n * sizeof *entry, entry, sizeof *entry) &&
           entry->d_tag != DT_NULL;
}

static struct dynamic find_strings(const struct file *file, const ElfW(Phdr) * segment)
{
    struct dynamic dynamic = {file->size, 0};
    ElfW(Dyn) entry;

    for (uint64_t n = 0; read_entry(file, segment, n, &entry); n++) {
        if (entry.d_tag == DT_STRTAB)
            dynamic.strings = offset_of(file, entry.d_un.d_ptr);
        if (entry.d_tag == DT_STRSZ)
            dynamic.strings_size = entry.d_un.d_val;
    }
    if (dynamic.strings > file->size)
        dynamic.strings = file->size;
    if (dynamic.strings_size > file->size - dynamic.strings)
        dynamic.strings_size = file->size - dynamic.strings;
    return dynamic;
}

static const char *dynamic_text(const struct file *file, const struct dynamic *dynamic,
                                uint64_t offset)
{
    return offset < dynamic->strings_size ? text_at(file, dynamic->strings + offset) : NULL;
}

static void read_dynamic(const struct file *file, const ElfW(Phdr) * segment,
                         struct elf_image *image)
{
    static const char listen[] = "\0listen"; /* with the zero bytes around it */
    struct dynamic dynamic = find_strings(file, segment);
    ElfW(Dyn) entry;
    const char *text;

    for (uint64_t n = 0; read_entry(file, segment, n, &entry); n++)
        if (entry.d_tag == DT_NEEDED && image->libc == ELF_LIBC_UNKNOWN &&
            (text = dynamic_text(file, &dynamic, entry.d_un.d_val)) != NULL)
            image->libc = libc_of_needed(text);
    image->names_listen =
        memmem(file->bytes + dynamic.strings, dynamic.strings_size, listen, sizeof listen) != NULL;
}

/* --- the Go compiler's marks: a note, and a section where notes were stripped --- */

static uint64_t round_up(uint64_t value)
{
    return (value + 3) & ~UINT64_C(3);
}

static void read_notes(const struct file *file, const ElfW(Phdr) * segment, struct elf_image *image)
{
    uint64_t offset = segment->p_offset;
    uint64_t end = segment->p_filesz < file->size ? offset + segment->p_filesz : file->size;
    ElfW(Nhdr) note;
    char name[4];

    for (int n = 0; n < NOTES_MAX && offset < end && read_at(file, offset, &note, sizeof note);
         n++) {
        if (note.n_type == NOTE_GO_BUILD_ID && note.n_namesz == sizeof name &&
            read_at(file, offset + sizeof note, name, sizeof name) && memcmp(name, "Go\0", 4) == 0)
            image->has_go = true;
        offset += sizeof note + round_up(note.n_namesz) + round_up(note.n_descsz);
    }
}

static void read_sections(const struct file *file, struct elf_image *image)
{
    ElfW(Shdr) names;
    ElfW(Shdr) section;
    const char *name;

    if (!read_section(file, file->head.e_shstrndx, &names) || names.sh_offset > file->size)
        return;
    for (unsigned i = 0; read_section(file, i, &section); i++)
        if ((name = text_at(file, names.sh_offset + section.sh_name)) != NULL &&
            (strcmp(name, ".go.buildinfo") == 0 || strcmp(name, ".note.go.buildid") == 0))
            image->has_go = true;
}

static void read_segments(const struct file *file, struct elf_image *image)
{
    ElfW(Phdr) segment;
    bool seen_dynamic = false;

    for (unsigned i = 0; read_segment(file, i, &segment); i++)
        if (segment.p_type == PT_INTERP)
            read_interpreter(file, &segment, image);
    for (unsigned i = 0; read_segment(file, i, &segment); i++) {
        if (segment.p_type == PT_DYNAMIC && !seen_dynamic) {
            seen_dynamic = true;
            read_dynamic(file, &segment, image);
        }
        if (segment.p_type == PT_NOTE && segment.p_offset <= file->size)
            read_notes(file, &segment, image);
    }
}

bool elf_parse(const void *bytes, size_t size, struct elf_image *image)
{
    struct file file = {.bytes = bytes, .size = size};
    const unsigned char *ident = bytes;

    *image = (struct elf_image){.bits = 0};
    if (size < EI_NIDENT || memcmp(ident, ELFMAG, SELFMAG) != 0)
        return false;
    image->bits = ident[EI_CLASS] == ELFCLASS64 ? 64 : 32;
    image->foreign = ident[EI_CLASS] != OUR_CLASS || ident[EI_DATA] != OUR_BYTE_ORDER;
    /* e_machine is at the same place in both classes. */
    unsigned char machine[2] = {0};
    if (read_at(&file, offsetof(ElfW(Ehdr), e_machine), machine, sizeof machine))
        image->machine = ident[EI_DATA] == ELFDATA2MSB ? machine[0] << 8 | machine[1]
                                                       : machine[1] << 8 | machine[0];
    if (image->foreign || !read_at(&file, 0, &file.head, sizeof file.head))
        return true;
    read_segments(&file, image);
    read_sections(&file, image);
    return true;
}

bool elf_is_static(const struct elf_image *image)
{
    return !image->foreign && !image->interpreter[0];
}
