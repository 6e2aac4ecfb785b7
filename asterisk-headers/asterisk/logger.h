/*
 * Log lines. A format ends in its own newline. Text from others must be an argument, never the format.
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
/** Returns the debug level that `core set debug` has set for one module; 0 for none. */
unsigned int ast_debug_get_by_module(const char *module);
unsigned int ast_verbose_get_by_module(const char *module);
/** Prints the line; cores before 11.8.0 ignore the level. */
void __ast_verbose(const char *file, int line, const char *func, int level, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));

/*
 * Since 11.8.0 the variable `ast_verb_sys_level` (int) holds the highest verbosity of any console. It is looked up, never
 * imported, because dlopen would fail in older cores.
 */

#endif
