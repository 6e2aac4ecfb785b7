/*
 * What shim.c offers in place of the host's variadic functions.
 */
#ifndef ASTERISK_SYS_SHIM_H
#define ASTERISK_SYS_SHIM_H

struct ast_channel;

/** The text that the host's loader asks of each module. */
extern const char asterisk_sys_key[];

/** ast_log of one line; the newline is added. */
void asterisk_sys_log(int level, const char *file, int line, const char *function, const char *message);

/** __ast_verbose of one line; the newline is added. */
void asterisk_sys_verbose(int level, const char *file, int line, const char *function, const char *message);

/** ast_cli of a text that brings its own newlines. */
void asterisk_sys_cli(int fd, const char *text);

/** __ast_manager_event_multichan of headers that each end in CR LF. */
int asterisk_sys_manager_event(int category, const char *event, int channel_count, struct ast_channel **channels,
	const char *file, int line, const char *function, const char *headers);

#endif
