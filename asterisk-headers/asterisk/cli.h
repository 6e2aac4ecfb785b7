/*
 * Commands of the console.
 */
#ifndef ASTERISK_HEADERS_CLI_H
#define ASTERISK_HEADERS_CLI_H

#include "asterisk.h"

struct module;

#define CLI_SUCCESS ((char *) 0)
#define CLI_SHOWUSAGE ((char *) 1)
#define CLI_FAILURE ((char *) 2)
#define AST_MAX_CMD_LEN 16 /**< words of a command */
#define AST_MAX_ARGS 64

/** Why a handler is called. */
enum ast_cli_command {
	CLI_INIT = -2, /**< fill in command and usage */
	CLI_GENERATE = -3, /**< complete word n of the line */
	CLI_HANDLER = -4, /**< run it */
};

struct ast_cli_args {
	const int fd; /**< where ast_cli prints */
	const int argc;
	const char *const *argv;
	const char *line; /**< so far, for completion */
	const char *word; /**< being completed */
	const int pos; /**< its index */
	const int n; /**< which of the candidates is asked for */
};

struct ast_cli_entry {
	const char *const cmda[16]; /**< Set by the core from `command`. */
	const char *const summary; /**< One line for `core show help`. */
	const char *usage;
	int inuse;
	struct module *module;
	char *_full_cmd;
	int cmdlen;
	int args;
	char *command; /**< Words, with `{a|b}` for a choice; set when called with CLI_INIT. */
	/** Answers one of the CLI_ results, or an allocated word when completing. */
	char *(*handler)(struct ast_cli_entry *, int, struct ast_cli_args *);
	struct { struct ast_cli_entry *next; } list;
};

void ast_cli(int fd, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
int ast_cli_register_multiple(struct ast_cli_entry *e, int len);
int ast_cli_unregister_multiple(struct ast_cli_entry *e, int len);

#endif
