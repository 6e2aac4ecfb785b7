/*
 * Calls of the host's variadic functions with a fixed format: text from a peer is always an argument, never the format.
 */
#include "asterisk.h"
#include "asterisk/cli.h"
#include "asterisk/logger.h"
#include "asterisk/manager.h"
#include "shim.h"

void asterisk_sys_log(int level, const char *file, int line, const char *function, const char *message)
{
	ast_log(level, file, line, function, "%s\n", message);
}

void asterisk_sys_verbose(int level, const char *file, int line, const char *function, const char *message)
{
	__ast_verbose(file, line, function, level, "%s\n", message);
}

void asterisk_sys_cli(int fd, const char *text)
{
	ast_cli(fd, "%s", text);
}

int asterisk_sys_manager_event(int category, const char *event, int channel_count, struct ast_channel **channels,
	const char *file, int line, const char *function, const char *headers)
{
	return __ast_manager_event_multichan(category, event, channel_count, channels, file, line, function, "%s", headers);
}

void asterisk_sys_manager_append(struct mansession *session, const char *text)
{
	astman_append(session, "%s", text);
}
