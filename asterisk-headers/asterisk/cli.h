/*
 * Console commands.
 */
#ifndef ASTERISK_HEADERS_CLI_H
#define ASTERISK_HEADERS_CLI_H

#include "asterisk.h"

struct module;

#define CLI_SUCCESS ((char *) 0)
#define CLI_SHOWUSAGE ((char *) 1)
#define CLI_FAILURE ((char *) 2)
#define AST_MAX_CMD_LEN 16 /**< the most words of a command */
#define AST_MAX_ARGS 64

/** Why a handler is called. */
enum ast_cli_command {
	CLI_INIT = -2, /**< requests command and usage */
	CLI_GENERATE = -3, /**< requests the n-th completion of the last word */
	CLI_HANDLER = -4, /**< runs the command */
};

struct ast_cli_args {
	const int fd; /**< the console, for ast_cli */
	const int argc;
	const char *const *argv;
	const char *line; /**< the line typed so far, for completion */
	const char *word; /**< the word to be completed */
	const int pos; /**< the index of that word */
	const int n; /**< the number of the requested completion */
};

struct ast_cli_entry {
	const char *const cmda[16]; /**< The words; set by the core from `command`. */
	const char *const summary; /**< One line for `core show help`. */
	const char *usage;
	int inuse;
	struct module *module;
	char *_full_cmd;
	int cmdlen;
	int args;
	char *command; /**< The words, with `{a|b}` for alternatives; set by the handler for CLI_INIT. */
	/** Returns one of the CLI_ results, or for completion an allocated word. */
	char *(*handler)(struct ast_cli_entry *, int, struct ast_cli_args *);
	struct { struct ast_cli_entry *next; } list;
};

void ast_cli(int fd, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
int ast_cli_register_multiple(struct ast_cli_entry *e, int len);
int ast_cli_unregister_multiple(struct ast_cli_entry *e, int len);

#endif
