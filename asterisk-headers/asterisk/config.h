/*
 * Configuration files: sections with lines `name = value`.
 */
#ifndef ASTERISK_HEADERS_CONFIG_H
#define ASTERISK_HEADERS_CONFIG_H

#include <sys/types.h>
#include "asterisk.h"
#include "asterisk/utils.h"

struct ast_config;
struct ast_comment;

/* Special return values of the loader. */
#define CONFIG_STATUS_FILEMISSING ((void *) 0)
#define CONFIG_STATUS_FILEUNCHANGED ((void *) -1)
#define CONFIG_STATUS_FILEINVALID ((void *) -2)

/* Flags for the loader. */
enum {
	CONFIG_FLAG_WITHCOMMENTS = 1,
	CONFIG_FLAG_FILEUNCHANGED = 2, /**< return CONFIG_STATUS_FILEUNCHANGED if the file has not changed */
	CONFIG_FLAG_NOCACHE = 4,
	CONFIG_FLAG_NOREALTIME = 8,
};

/** One line of a section; also used for HTTP headers and parameters. */
struct ast_variable {
	const char *name;
	const char *value;
	struct ast_variable *next;
	const char *file;
	int lineno; /**< line number in that file, from 1 */
	int object; /**< whether it is written with `=>` */
	int blanklines;
	struct ast_comment *precomments;
	struct ast_comment *sameline;
	struct ast_comment *trailing;
	char stuff[0]; /**< the text of the strings */
};

struct ast_config *ast_config_load2(const char *filename, const char *who_asked, struct ast_flags flags);
void ast_config_destroy(struct ast_config *config);
/** Returns the section after `prev`. NULL as an argument selects the first; NULL is returned after the last. */
char *ast_category_browse(struct ast_config *config, const char *prev);
struct ast_variable *ast_variable_browse(const struct ast_config *config, const char *category);
const char *ast_variable_retrieve(const struct ast_config *config, const char *category, const char *variable);
struct ast_variable *ast_variable_new(const char *name, const char *value, const char *filename);
void ast_variables_destroy(struct ast_variable *var);

#endif
