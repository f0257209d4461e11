/*
 * options.h - command-line options from a table. What getopt_long(3) accepts, the defaults and the
 * text of --help all come from the same rows, so that none of them can be forgotten.
 */
#ifndef SSHIM_BROKER_BASE_OPTIONS_H
#define SSHIM_BROKER_BASE_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a step on the way to the broker's loop says: go on, or leave with an exit code. */
enum proceed { GO_ON, DONE };

/* What `sshim run` and the other commands exit with; README.md and sshim(1) list them. */
#define EXIT_STOPPED 0          /* run: clean stop; other commands: success */
#define EXIT_USAGE 2            /* invalid command line, or the broker cannot start */
#define EXIT_NEVER_READY 3      /* no worker ever became ready */
#define EXIT_STATUS_DEGRADED 1  /* status: fewer workers are ready than are wanted */
#define EXIT_STATUS_UNKNOWN 3   /* status: nothing runs, or it cannot be asked */
#define EXIT_ADDRESS 4          /* an address, the control socket's included, could not be bound */
#define EXIT_NOT_EXECUTABLE 126 /* as env(1); and a program that cannot be preloaded */
#define EXIT_NOT_FOUND 127      /* as env(1) */

struct option_row;

/* Reads value into the field of this row. False: the value is invalid. */
typedef bool option_reader(const struct option_row *row, void *into, const char *value);

struct option_row {
    const char *name;     /* without the dashes */
    char letter;          /* 0: none */
    const char *argument; /* as --help shows it; NULL: the option takes none */
    const char *help;
    const char *initial; /* read before the command line; NULL: the field stays zero */
    option_reader *read;
    size_t offset;            /* of the field */
    const char *expected;     /* for the error message; NULL: made of min and max, or names */
    unsigned min, max;        /* option_number */
    const char *const *names; /* option_choice; the last is NULL */
    const char *commands;     /* that take it, as "status list"; NULL: each one of the table */
    const char *old_name;     /* works as well, and --help does not show it; NULL: none */
    bool repeats;             /* each time adds a value; else the last one counts */
    bool is_not_in_files;     /* it says where the others come from */
    bool is_live;             /* may change while the broker runs */
};

struct option_table {
    const char *command; /* for messages: "run" */
    const struct option_row *rows;
    size_t count; /* at most OPTIONS_MAX */
    /* Takes an argument that is no option; they may stand anywhere then. False: there is one too
     * many. NULL: the first one ends the options, and the caller looks at it. */
    bool (*operand)(void *into, const char *text);
    /* Takes what an option says in place of row->read(); then no defaults are read. False: the
     * value is invalid. NULL: there is none. */
    bool (*take)(void *into, const struct option_row *row, const char *value);
};

#define OPTIONS_MAX 96

/* Readers by the type of the field. Texts are kept as pointers into argv. */
option_reader option_flag;   /* bool: becomes true */
option_reader option_text;   /* const char * */
option_reader option_number; /* unsigned, from min to max */
option_reader option_choice; /* int, or an enum: the index in names */

#define OPTION_FAULT_SIZE 2048 /* the names of all options have room in it */

/* One line that says what is wrong and what to do. */
struct option_fault {
    char text[OPTION_FAULT_SIZE];
};
__attribute__((format(printf, 2, 3))) void option_fail(struct option_fault *fault,
                                                       const char *format, ...);

/* Says that this value is none for the row, which the reader knows by this name. */
void option_refuse(const struct option_row *row, const char *name, const char *value,
                   struct option_fault *fault);

enum option_end { OPTION_END_WELL, OPTION_END_HELP, OPTION_END_FAULT };

/* As options_parse(), but prints nothing, neither help nor a fault: gives the fault. */
enum option_end options_read(const struct option_table *table, void *into, int argc, char **argv,
                             struct option_fault *fault);

/* What a command does about this end: goes on, prints the help, or says what the fault is. The same
 * contract as options_parse(). */
enum proceed options_end(enum option_end end, const struct option_fault *fault,
                         void (*print_help)(void), int *exit_code);

/*
 * Reads the defaults and the options into `into`; optind is then the first argument that is no
 * option. -h and --help need no row: they print the help. DONE: leave with *exit_code, which is 0
 * after the help and EXIT_USAGE after one line on standard error. Not thread-safe (getopt).
 */
enum proceed options_parse(const struct option_table *table, void *into, int argc, char **argv,
                           void (*print_help)(void), int *exit_code);

/* The rows as --help shows them, wrapped at 100 columns. */
void options_print(const struct option_table *table);

#endif
