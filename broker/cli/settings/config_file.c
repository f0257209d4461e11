/* config_file.c - see config_file.h. */
#include "broker/cli/settings/config_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SIZE_MAX_KIB 64
#define TEXT_MAX ((size_t)SIZE_MAX_KIB * 1024)
#define BLANKS " \t\r"

static bool is_there(const char *folder, const char *below, const char *word, char *path,
                     size_t size)
{
    return folder && *folder == '/' &&
           snprintf(path, size, "%s%s/sshim/%s.conf", folder, below, word) < (int)size &&
           access(path, F_OK) == 0;
}

bool config_file_find(const char *word, char *path, size_t size)
{
    const char *own = secure_getenv("XDG_CONFIG_HOME");
    bool found = own && *own == '/' ? is_there(own, "", word, path, size)
                                    : is_there(secure_getenv("HOME"), "/.config", word, path, size);

    if (!found && !is_there("/etc", "", word, path, size))
        *path = '\0';
    return *path != '\0';
}

/* What root reads is executed with all rights. */
static bool is_safe(const struct stat *info, const char *path, struct option_fault *fault)
{
    if (geteuid() != 0 || (info->st_uid == 0 && (info->st_mode & (S_IWGRP | S_IWOTH)) == 0))
        return true;
    option_fail(fault,
                "cannot use %s: others than root may write to it, and it tells what root runs; "
                "chown root %s; chmod go-w %s",
                path, path, path);
    return false;
}

static char *read_all(int fd, const char *path, struct option_fault *fault)
{
    char *text = malloc(TEXT_MAX + 1);
    size_t len = 0;
    ssize_t got = 1;

    while (text && len < TEXT_MAX && got > 0) {
        got = read(fd, text + len, TEXT_MAX - len);
        len += got > 0 ? (size_t)got : 0;
    }
    if (!text || got < 0) {
        option_fail(fault, "cannot read %s: %s; see --config in sshim(1)", path, strerror(errno));
    } else if (len == TEXT_MAX || memchr(text, '\0', len)) {
        option_fail(fault, "cannot use %s: %s; give a text file of lines 'name = value'", path,
                    len == TEXT_MAX ? "it has 64 KiB or more" : "it has a NUL byte");
    } else {
        text[len] = '\0';
        return text;
    }
    free(text);
    return NULL;
}

char *config_file_read(const char *path, struct option_fault *fault)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat info;
    char *text = NULL;

    if (fd < 0 || fstat(fd, &info) < 0)
        option_fail(fault,
                    "cannot read %s: %s; name a file that is there and that this user may read",
                    path, strerror(errno));
    else if (!S_ISREG(info.st_mode))
        option_fail(fault, "cannot read %s: it is not a regular file; name one that is", path);
    else if (is_safe(&info, path, fault))
        text = read_all(fd, path, fault);
    if (fd >= 0)
        close(fd);
    return text;
}

/* Blanks around it are cut off. */
static char *trim(char *text)
{
    text += strspn(text, BLANKS);
    size_t len = strlen(text);
    while (len > 0 && strchr(BLANKS, text[len - 1]))
        text[--len] = '\0';
    return text;
}

/* A '#' begins a comment where a word could begin. */
static void cut_comment(char *value)
{
    for (char *c = value; *c; c++) {
        if (*c == '#' && (c == value || strchr(BLANKS, c[-1]))) {
            *c = '\0';
            return;
        }
    }
}

static char *take_line(struct config_lines *lines)
{
    char *text = lines->rest;
    char *end = strchr(text, '\n');

    if (*text == '\0')
        return NULL;
    lines->rest = end ? end + 1 : text + strlen(text);
    if (end)
        *end = '\0';
    lines->number++;
    return trim(text);
}

bool config_file_next(struct config_lines *lines, struct config_line *line)
{
    char *text;

    do {
        text = take_line(lines);
        if (!text)
            return false;
    } while (*text == '\0' || *text == '#');
    char *equals = strchr(text, '=');
    if (!equals) {
        *line = (struct config_line){"", text};
        return true;
    }
    *equals = '\0';
    *line = (struct config_line){trim(text), equals + 1};
    if (strcmp(line->name, "command") != 0)
        cut_comment(line->value);
    line->value = trim(line->value);
    return true;
}

/*
 * Copies one word from *from to `to`, which may be the same place. Gives the end of the word, or
 * NULL: a quote or a backslash has nothing behind it. *from is then at the quote, or the end.
 */
static char *copy_word(char **from, char *to)
{
    char *c = *from;
    char quote = '\0';

    for (; *c && (quote || !strchr(BLANKS, *c)); c++) {
        bool escapes = *c == '\\' && quote != '\'' && (!quote || strchr("\"\\", c[1]));
        if (*c == quote && quote)
            quote = '\0';
        else if (!quote && (*c == '\'' || *c == '"'))
            quote = *c;
        else if (!escapes)
            *to++ = *c;
        else if (c[1])
            *to++ = *++c;
        else
            return NULL;
    }
    *from = c;
    return quote ? NULL : to;
}

const char *config_file_split(char *text, char ***words)
{
    char **all = calloc(strlen(text) / 2 + 2, sizeof *all);
    const char *fault = all ? NULL : "out of memory";
    size_t count = 0;

    for (char *from = text + strspn(text, BLANKS); !fault && *from && *from != '#';) {
        char *word = from;
        char *end = copy_word(&from, word);
        bool is_last = end && *from == '\0';
        if (!end) {
            fault = "a quote is not closed, or a backslash ends the line";
            break;
        }
        *end = '\0';
        all[count++] = word;
        if (!is_last)
            from += 1 + strspn(from + 1, BLANKS);
    }
    if (!fault && count == 0)
        fault = "there is no command";
    if (fault)
        free(all);
    *words = fault ? NULL : all;
    return fault;
}
