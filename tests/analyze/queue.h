/* queue.h - what cppcheck must know of <sys/queue.h>, since it reads no system header. */
#define LIST_HEAD(name, type)                                                                      \
    struct name {                                                                                  \
        struct type *lh_first;                                                                     \
    }
#define LIST_HEAD_INITIALIZER(head)                                                                \
    {                                                                                              \
        0                                                                                          \
    }
#define TAILQ_LAST(head, headname) (*(((struct headname *)((head)->tqh_last))->tqh_last))
#define TAILQ_FOREACH(var, head, field)                                                            \
    for (var = (head)->tqh_first; var; var = var->field.tqe_next)
#define LIST_FOREACH(var, head, field) for (var = (head)->lh_first; var; var = var->field.le_next)
