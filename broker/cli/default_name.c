/* default_name.c - see default_name.h. */
#include "broker/cli/default_name.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "broker/cli/runtime_paths.h"

/* Letters of their short options. Others take no separate argument. */
static const struct interpreter {
    const char *program; /* a version may follow */
    const char *takes;   /* an argument that is no script */
    const char *code;    /* the program itself: there is no script */
    const char *module;  /* a module in place of a script */
} interpreters[] = {
    {"python", "WXQ", "c", "m"},   {"pypy", "WXQ", "c", "m"}, {"perl", "I", "eE", ""},
    {"ruby", "rICE", "e", ""},     {"node", "rC", "ep", ""},  {"nodejs", "rC", "ep", ""},
    {"php", "tdcz", "rSBRE", "f"}, {"lua", "l", "e", ""},     {"tclsh", "", "", ""},
    {"sh", "oO", "c", ""},         {"bash", "oO", "c", ""},   {"dash", "oO", "c", ""},
};

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static const struct interpreter *find_interpreter(const char *program)
{
    const char *base = base_of(program);

    for (size_t i = 0; i < sizeof interpreters / sizeof interpreters[0]; i++) {
        size_t len = strlen(interpreters[i].program);
        if (strncmp(base, interpreters[i].program, len) == 0 &&
            base[len + strspn(base + len, "0123456789.-")] == '\0')
            return &interpreters[i];
    }
    return NULL;
}

/* NULL: it runs none, or we cannot tell. */
static const char *find_script(const struct interpreter *interpreter, char *const *argument)
{
    for (; *argument; argument++) {
        const char *word = *argument;
        if (word[0] != '-')
            return base_of(word);
        if (strcmp(word, "--") == 0)
            return argument[1] ? base_of(argument[1]) : NULL;
        if (word[1] == '-')
            continue;
        char last = word[strlen(word) - 1]; /* as in "-um MODULE" */
        if (word[1] == '\0' || strchr(interpreter->code, last))
            return NULL;
        if (strchr(interpreter->module, last))
            return argument[1] ? base_of(argument[1]) : NULL;
        if (strchr(interpreter->takes, last) && argument[1])
            argument++;
    }
    return NULL;
}

void default_name(char *const *command, char *name, size_t size)
{
    const struct interpreter *interpreter = command ? find_interpreter(command[0]) : NULL;
    const char *script = interpreter ? find_script(interpreter, command + 1) : NULL;

    runtime_paths_name_of(script ? script : command ? command[0] : "sshim", name, size);
}
