/*
 * A queue of timed callbacks, which its owner runs, often up to a second late. Times are in milliseconds.
 */
#ifndef ASTERISK_HEADERS_SCHED_H
#define ASTERISK_HEADERS_SCHED_H

#include "asterisk.h"

/** Returns 0, or any other value to be called again after the same time. */
typedef int (*ast_sched_cb)(const void *);

struct ast_sched_context *ast_sched_context_create(void);
void ast_sched_context_destroy(struct ast_sched_context *c);
/** Returns an id, or -1. */
int ast_sched_add(struct ast_sched_context *con, int when, ast_sched_cb callback, const void *data);
int ast_sched_wait(struct ast_sched_context *con);
int ast_sched_runq(struct ast_sched_context *con);

/*
 * Looked up at run time, because the function that removes an entry has another name in a core built with AST_DEVMODE.
 */
typedef int (*ast_sched_del_fn)(struct ast_sched_context *, int);
typedef int (*_ast_sched_del_fn)(struct ast_sched_context *, int, const char *, int, const char *);

#endif
