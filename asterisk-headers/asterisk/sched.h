/*
 * A queue of callbacks that its owner runs, often up to a second late. Times are milliseconds.
 */
#ifndef ASTERISK_HEADERS_SCHED_H
#define ASTERISK_HEADERS_SCHED_H

#include "asterisk.h"

/** Anything but 0 asks to be called again after the same time. */
typedef int (*ast_sched_cb)(const void *);

struct ast_sched_context *ast_sched_context_create(void);
void ast_sched_context_destroy(struct ast_sched_context *c);
/** Answers an id, or -1. */
int ast_sched_add(struct ast_sched_context *con, int when, ast_sched_cb callback, const void *data);
int ast_sched_wait(struct ast_sched_context *con);
int ast_sched_runq(struct ast_sched_context *con);

/*
 * Removing goes by another name in a core built with AST_DEVMODE, so both are looked up.
 */
typedef int (*ast_sched_del_fn)(struct ast_sched_context *, int);
typedef int (*_ast_sched_del_fn)(struct ast_sched_context *, int, const char *, int, const char *);

#endif
