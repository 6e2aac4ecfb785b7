/*
 * Files of sections and `name = value` lines.
 */
#ifndef ASTERISK_HEADERS_CONFIG_H
#define ASTERISK_HEADERS_CONFIG_H

#include <sys/types.h>
#include "asterisk.h"
#include "asterisk/utils.h"

struct ast_config;
struct ast_comment;

/* What the loader answers in place of a configuration. */
#define CONFIG_STATUS_FILEMISSING ((void *) 0)
#define CONFIG_STATUS_FILEUNCHANGED ((void *) -1)
#define CONFIG_STATUS_FILEINVALID ((void *) -2)

/* The flags that the loader takes. */
enum {
	CONFIG_FLAG_WITHCOMMENTS = 1,
	CONFIG_FLAG_FILEUNCHANGED = 2, /**< answer CONFIG_STATUS_FILEUNCHANGED when it is */
	CONFIG_FLAG_NOCACHE = 4,
	CONFIG_FLAG_NOREALTIME = 8,
};

/** One line; also how HTTP headers and parameters arrive. */
struct ast_variable {
	const char *name;
	const char *value;
	struct ast_variable *next;
	const char *file;
	int lineno; /**< in that file, from 1 */
	int object; /**< written with `=>` */
	int blanklines;
	struct ast_comment *precomments;
	struct ast_comment *sameline;
	struct ast_comment *trailing;
	char stuff[0]; /**< the strings themselves */
};

struct ast_config *ast_config_load2(const char *filename, const char *who_asked, struct ast_flags flags);
void ast_config_destroy(struct ast_config *config);
/** The section after `prev`; NULL starts and ends. */
char *ast_category_browse(struct ast_config *config, const char *prev);
struct ast_variable *ast_variable_browse(const struct ast_config *config, const char *category);
const char *ast_variable_retrieve(const struct ast_config *config, const char *category, const char *variable);
struct ast_variable *ast_variable_new(const char *name, const char *value, const char *filename);
void ast_variables_destroy(struct ast_variable *var);

#endif
