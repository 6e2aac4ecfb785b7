/*
 * Events and actions of the manager interface (AMI).
 */
#ifndef ASTERISK_HEADERS_MANAGER_H
#define ASTERISK_HEADERS_MANAGER_H

#include "asterisk.h"

#define EVENT_FLAG_SYSTEM 1
#define EVENT_FLAG_CALL 2
#define EVENT_FLAG_LOG 4
#define EVENT_FLAG_VERBOSE 8
#define EVENT_FLAG_REPORTING 512

/** Each header in the contents ends in CR LF. */
int __ast_manager_event_multichan(int category, const char *event, int chancount, struct ast_channel **chans, const
	char *file, int line, const char *func, const char *contents, ...)
	__attribute__((format(printf, 8, 9)));

struct mansession;
struct message;

/**
 * Adds an action for sessions that may write one of the categories in authority. While the action runs, the module is in use.
 * Without synopsis and description the host looks for both in its XML documentation.
 */
int ast_manager_register2(const char *action, int authority, int (*func)(struct mansession *s, const struct message *m),
	struct ast_module *module, const char *synopsis, const char *description);
/** Does not wait for an action that is running. */
int ast_manager_unregister(const char *action);

/** The value of a header in any case, or an empty string. */
const char *astman_get_header(const struct message *m, char *var);
/** A whole response, with the ActionID of the request. */
void astman_send_error(struct mansession *s, const struct message *m, char *error);
/** A part of a response as it is. */
void astman_append(struct mansession *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
