/*
 * Functions with fixed arguments that replace the host's variadic ones.
 */
#ifndef ASTERISK_SYS_SHIM_H
#define ASTERISK_SYS_SHIM_H

struct ast_channel;
struct mansession;

/** The key string that the host's loader requires from each module. */
extern const char asterisk_sys_key[];

/** Wraps ast_log for one line; adds the newline. */
void asterisk_sys_log(int level, const char *file, int line, const char *function, const char *message);

/** Wraps __ast_verbose for one line; adds the newline. */
void asterisk_sys_verbose(int level, const char *file, int line, const char *function, const char *message);

/** Wraps ast_cli; adds no newline. */
void asterisk_sys_cli(int fd, const char *text);

/** Wraps __ast_manager_event_multichan; each of the headers must end in CR LF. */
int asterisk_sys_manager_event(int category, const char *event, int channel_count, struct ast_channel **channels,
	const char *file, int line, const char *function, const char *headers);

/** Wraps astman_append; each line of the text must end in CR LF. */
void asterisk_sys_manager_append(struct mansession *session, const char *text);

#endif
