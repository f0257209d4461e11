/* queue.h - the loops of <sys/queue.h> for cppcheck, which reads no system header. */
#define TAILQ_FOREACH(var, head, field)                                                            \
    for (var = (head)->tqh_first; var; var = var->field.tqe_next)
#define LIST_FOREACH(var, head, field) for (var = (head)->lh_first; var; var = var->field.le_next)
