/*
 * Log lines. The formats end in a newline of their own, and a text that somebody else wrote is an argument, never the
 * format.
 */
#ifndef ASTERISK_HEADERS_LOGGER_H
#define ASTERISK_HEADERS_LOGGER_H

#include "asterisk.h"

#define __LOG_DEBUG 0
#define __LOG_NOTICE 2
#define __LOG_WARNING 3
#define __LOG_ERROR 4
#define __LOG_VERBOSE 5
#define __LOG_DTMF 6

void ast_log(int level, const char *file, int line, const char *function, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
/** The level that `core set debug` gave one module; 0 without. */
unsigned int ast_debug_get_by_module(const char *module);
unsigned int ast_verbose_get_by_module(const char *module);
/** Prints regardless of level in cores before 11.8.0. */
void __ast_verbose(const char *file, int line, const char *func, int level, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/*
 * From 11.8.0 the data symbol `ast_verb_sys_level` (int) holds the highest level anybody listens to. It is looked up,
 * never imported: in older cores dlopen would fail on it.
 */

#endif
