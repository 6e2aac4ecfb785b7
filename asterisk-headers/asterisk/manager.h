/*
 * Events of the manager interface (AMI).
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

#endif
