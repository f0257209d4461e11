/* log.c - makes a record, formats it and writes the line if it is taken at once. */
#include "broker/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/log/line.h"
#include "broker/base/log/sink.h"

#define MESSAGE_SIZE 1024

struct output {
    struct sink sink;
    enum line_form form;
};

static struct output standard = {.sink = {.fd = STDERR_FILENO, .may_wait = true}};
static struct output file = {.sink = {.fd = -1}};
static const char *file_path; /* NULL: none */
static enum log_level shown = LOG_LEVEL_NORMAL;
static const char *instance = "";
static unsigned progress_rows; /* of the terminal with progress in the last one; 0: none */
static uint64_t dropped;       /* in all */
static uint64_t untold;        /* of these */
static void (*observe)(const struct log_record *record);

/* Whether standard error goes to the journal, see systemd.exec(5). */
static bool is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device;
    unsigned long long inode;
    struct stat info;

    return stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &info) == 0 && info.st_dev == device && info.st_ino == inode;
}

static bool is_terminal(void)
{
    const char *terminal = getenv("TERM");

    return isatty(STDERR_FILENO) && !(terminal && strcmp(terminal, "dumb") == 0);
}

/* See no-color.org. */
static bool wants_colour(void)
{
    const char *no = getenv("NO_COLOR");

    return is_terminal() && !(no && *no);
}

/* People read the standard error of a container or in a pipe as well: it stays text for them. */
static enum line_form form_of_standard(enum log_format format)
{
    switch (format) {
    case LOG_FORMAT_LOGFMT: return LINE_LOGFMT;
    case LOG_FORMAT_JSON: return LINE_JSON;
    case LOG_FORMAT_AUTO:
        if (is_journal())
            return LINE_JOURNAL;
        break;
    case LOG_FORMAT_HUMAN: break;
    }
    return wants_colour() ? LINE_COLOUR : LINE_HUMAN;
}

static enum line_form form_of_file(enum log_format format)
{
    return format == LOG_FORMAT_HUMAN  ? LINE_DATED
           : format == LOG_FORMAT_JSON ? LINE_JSON
                                       : LINE_LOGFMT;
}

void log_set_level(enum log_level level)
{
    shown = level;
}

bool log_open(const struct log_options *options)
{
    shown = options->level;
    instance = options->instance;
    sink_open_standard(&standard.sink, STDERR_FILENO);
    standard.form = form_of_standard(options->format);
    file.form = form_of_file(options->format);
    file_path = options->file;
    return log_reopen();
}

bool log_change(enum log_format format, const char *path)
{
    const char *before = file_path;

    file_path = path;
    if (!log_reopen()) {
        file_path = before;
        return false;
    }
    standard.form = form_of_standard(format);
    file.form = form_of_file(format);
    if (!path && file.sink.fd >= 0) {
        close(file.sink.fd);
        file.sink.fd = -1;
    }
    return true;
}

bool log_reopen(void)
{
    return !file_path || sink_open_file(&file.sink, file_path) == 0;
}

uint64_t log_dropped(void)
{
    return dropped;
}

void log_set_observer(void (*on_event)(const struct log_record *record))
{
    observe = on_event;
}

/* 0: not known, or too small for a row apart. */
static unsigned count_rows(void)
{
    struct winsize size;

    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 2 ? size.ws_row : 0;
}

/*
 * The last row is taken out of what scrolls (DECSTBM), so that workers, which write to the same
 * terminal by themselves, share no line with it. DECSTBM moves the cursor: it is saved and put
 * back. Each step is one write, so that nothing comes in between.
 */
#define BEGIN_ROW "\n\0337\033[1;%ur\0338\033[A" /* makes room below the cursor first */
#define DRAW_ROW "\0337\033[%u;1H\033[K%s\0338"
#define END_ROW "\0337\033[%u;1H\033[K\033[r\0338"

static void show_progress(unsigned rows, const char *text)
{
    char bytes[LOG_PROGRESS_SIZE + 96];
    int len = 0;

    if (progress_rows && progress_rows != rows) /* the terminal has another size now */
        len = snprintf(bytes, sizeof bytes, END_ROW, progress_rows);
    if (progress_rows != rows)
        len += snprintf(bytes + len, sizeof bytes - (size_t)len, BEGIN_ROW, rows - 1);
    len += snprintf(bytes + len, sizeof bytes - (size_t)len, DRAW_ROW, rows, text);
    progress_rows = rows;
    sink_write(&standard.sink, bytes, (size_t)len);
}

static void hide_progress(void)
{
    char bytes[64];
    int len = snprintf(bytes, sizeof bytes, END_ROW, progress_rows);

    progress_rows = 0;
    sink_write(&standard.sink, bytes, (size_t)len);
}

bool log_set_progress(const char *text)
{
    bool is_for_people = standard.form == LINE_HUMAN || standard.form == LINE_COLOUR;
    unsigned rows = count_rows();
    char line[LOG_PROGRESS_SIZE];

    if (!is_for_people || shown == LOG_LEVEL_QUIET || !is_terminal() || rows == 0)
        return false;
    snprintf(line, sizeof line, "sshim: %s", text ? text : "");
    if (text)
        show_progress(rows, line);
    else if (progress_rows)
        hide_progress();
    return true;
}

static bool write_to(struct output *output, const struct log_record *record)
{
    struct line_head head = {.instance = instance, .dropped = untold};
    char line[LINE_SIZE];
    size_t len = line_format(output->form, record, &head, line, sizeof line);

    return sink_write(&output->sink, line, len);
}

static void write_record(const struct log_record *record)
{
    bool has_file = file.sink.fd >= 0;

    if (has_file && record->level == LOG_LEVEL_QUIET)
        write_to(&standard, record);
    if (write_to(has_file ? &file : &standard, record)) {
        untold = 0;
    } else {
        dropped++;
        untold++;
    }
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void tell(enum log_level level, enum log_event event, const struct log_fact *facts,
                 const char *format, va_list arguments)
{
    bool is_observed = observe && event != LOG_MESSAGE;
    int saved = errno;
    char message[MESSAGE_SIZE];

    if (level > shown && !is_observed)
        return;
    vsnprintf(message, sizeof message, format, arguments);
    struct log_record record = {now_ms(), level, event, facts, message};
    if (level <= shown)
        write_record(&record);
    if (is_observed)
        observe(&record);
    errno = saved;
}

#define TELL(level, event, facts, format)                                                          \
    do {                                                                                           \
        va_list arguments;                                                                         \
        va_start(arguments, format);                                                               \
        tell(level, event, facts, format, arguments);                                              \
        va_end(arguments);                                                                         \
    } while (0)

void log_event(enum log_level level, enum log_event event, const struct log_fact *facts,
               const char *format, ...)
{
    TELL(level, event, facts, format);
}

void log_error(const char *format, ...)
{
    TELL(LOG_LEVEL_QUIET, LOG_MESSAGE, NULL, format);
}

void log_info(const char *format, ...)
{
    TELL(LOG_LEVEL_NORMAL, LOG_MESSAGE, NULL, format);
}

void log_debug(const char *format, ...)
{
    TELL(LOG_LEVEL_VERBOSE, LOG_MESSAGE, NULL, format);
}
