/*
 * The output of modules: log lines, manager events, console output. Everything is kept until a test fetches it.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "asterisk/cli.h"
#include "asterisk/logger.h"
#include "asterisk/manager.h"
#include "asterisk/options.h"
#include "host.h"

struct text {
	pthread_mutex_t lock;
	char *bytes;
	size_t length;
};

static struct text logged = { .lock = PTHREAD_MUTEX_INITIALIZER };
static struct text events = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct ast_flags ast_options;
int option_debug;
int option_verbose = 3;

/* `systemname`. The real core has a pointer to an array of its own, too. */
static char system_name[80];
const char *ast_config_AST_SYSTEM_NAME = system_name;

void host_set_system_name(const char *name)
{
	snprintf(system_name, sizeof(system_name), "%s", name);
}

static void append(struct text *text, const char *bytes)
{
	size_t length = strlen(bytes);
	pthread_mutex_lock(&text->lock);
	text->bytes = realloc(text->bytes, text->length + length + 1);
	memcpy(text->bytes + text->length, bytes, length + 1);
	text->length += length;
	pthread_mutex_unlock(&text->lock);
}

static void append_formatted(struct text *text, const char *before, const char *format, va_list arguments)
{
	char *formatted, *whole;
	if (vasprintf(&formatted, format, arguments) < 0)
		abort();
	if (asprintf(&whole, "%s%s", before, formatted) < 0)
		abort();
	append(text, whole);
	if (getenv("HOST_LOG"))
		fputs(whole, stderr);
	free(whole);
	free(formatted);
}

static size_t take(struct text *text, char *buffer, size_t size)
{
	size_t length;
	pthread_mutex_lock(&text->lock);
	length = text->length < size - 1 ? text->length : size - 1;
	if (length)
		memcpy(buffer, text->bytes, length);
	buffer[length] = '\0';
	free(text->bytes);
	text->bytes = NULL;
	text->length = 0;
	pthread_mutex_unlock(&text->lock);
	return length;
}

size_t host_log_take(char *buffer, size_t size)
{
	return take(&logged, buffer, size);
}

size_t host_manager_take(char *buffer, size_t size)
{
	return take(&events, buffer, size);
}

void ast_log(int level, const char *file, int line, const char *function, const char *fmt, ...)
{
	static const char *const names[] = { "DEBUG", "EVENT", "NOTICE", "WARNING", "ERROR", "VERBOSE", "DTMF" };
	char before[300];
	va_list arguments;
	snprintf(before, sizeof before, "%s %s:%d %s: ", names[level % 7], file, line, function);
	va_start(arguments, fmt);
	append_formatted(&logged, before, fmt, arguments);
	va_end(arguments);
}

void __ast_verbose(const char *file, int line, const char *func, int level, const char *fmt, ...)
{
	char before[300];
	va_list arguments;
	snprintf(before, sizeof before, "VERBOSE[%d] %s:%d %s: ", level, file, line, func);
	va_start(arguments, fmt);
	append_formatted(&logged, before, fmt, arguments);
	va_end(arguments);
}

unsigned int ast_debug_get_by_module(const char *module)
{
	(void) module;
	return 0;
}

unsigned int ast_verbose_get_by_module(const char *module)
{
	(void) module;
	return 0;
}

int __ast_manager_event_multichan(int category, const char *event, int chancount, struct ast_channel **chans,
	const char *file, int line, const char *func, const char *contents, ...)
{
	char before[200];
	va_list arguments;
	(void) category, (void) chancount, (void) chans, (void) file, (void) line, (void) func;
	snprintf(before, sizeof before, "Event: %s\r\n", event);
	va_start(arguments, contents);
	append_formatted(&events, before, contents, arguments);
	va_end(arguments);
	append(&events, "\r\n");
	return 0;
}

#define MAX_ACTIONS 8
static struct action {
	const char *name;
	int (*run)(struct mansession *, const struct message *);
} actions[MAX_ACTIONS];

int ast_manager_register2(const char *action, int authority, int (*func)(struct mansession *s, const struct message *m),
	struct ast_module *module, const char *synopsis, const char *description)
{
	(void) module;
	if (!authority || !*synopsis || !*description)
		abort();
	for (int i = 0; i < MAX_ACTIONS; i++) {
		if (!actions[i].name) {
			actions[i] = (struct action) { action, func };
			return 0;
		}
	}
	return -1;
}

int ast_manager_unregister(const char *action)
{
	for (int i = 0; i < MAX_ACTIONS; i++)
		if (actions[i].name && !strcmp(actions[i].name, action))
			actions[i].name = NULL;
	return 0;
}

/* A request: its action, and the one other header that it may have. A session: the text of the response. */
struct message {
	const char *action, *name, *value;
};
struct mansession {
	struct text response;
};

const char *astman_get_header(const struct message *m, char *var)
{
	if (!strcasecmp(var, "ActionID"))
		return "7";
	return m->name && !strcasecmp(m->name, var) ? m->value : "";
}

void astman_send_error(struct mansession *s, const struct message *m, char *error)
{
	(void) m;
	astman_append(s, "Response: Error\r\nActionID: 7\r\nMessage: %s\r\n\r\n", error);
}

void astman_append(struct mansession *s, const char *fmt, ...)
{
	va_list arguments;
	va_start(arguments, fmt);
	append_formatted(&s->response, "", fmt, arguments);
	va_end(arguments);
}

int host_action(const char *action, const char *name, const char *value, char *response, size_t size)
{
	struct message message = { action, name, value };
	struct mansession session = { .response = { .lock = PTHREAD_MUTEX_INITIALIZER } };
	int result = -1;
	for (int i = 0; i < MAX_ACTIONS; i++)
		if (actions[i].name && !strcmp(actions[i].name, action))
			result = actions[i].run(&session, &message);
	take(&session.response, response, size);
	return result;
}

void ast_cli(int fd, const char *fmt, ...)
{
	va_list arguments;
	va_start(arguments, fmt);
	vdprintf(fd, fmt, arguments);
	va_end(arguments);
}

#define MAX_COMMANDS 64
static struct ast_cli_entry *commands[MAX_COMMANDS];

static int register_one(struct ast_cli_entry *entry)
{
	struct ast_cli_args arguments = { .fd = -1 };
	entry->handler(entry, CLI_INIT, &arguments);
	for (int i = 0; i < MAX_COMMANDS; i++) {
		if (!commands[i]) {
			commands[i] = entry;
			return 0;
		}
	}
	return -1;
}

int ast_cli_register_multiple(struct ast_cli_entry *e, int len)
{
	int failed = 0;
	for (int i = 0; i < len; i++)
		failed |= register_one(&e[i]);
	return failed;
}

int ast_cli_unregister_multiple(struct ast_cli_entry *e, int len)
{
	for (int i = 0; i < MAX_COMMANDS; i++)
		if (commands[i] >= e && commands[i] < e + len)
			commands[i] = NULL;
	return 0;
}

/* Whether a typed word matches the declared word, or one of the alternatives in `{on|off}`. */
static int word_matches(const char *declared, size_t length, const char *typed)
{
	if (*declared != '{')
		return strlen(typed) == length && !strncmp(declared, typed, length);
	for (const char *choice = declared + 1; choice < declared + length;) {
		size_t end = strcspn(choice, "|}");
		if (strlen(typed) == end && !strncmp(choice, typed, end))
			return 1;
		choice += end + 1;
	}
	return 0;
}

static int command_matches(const char *declared, int count, char **words)
{
	int matched = 0;
	while (*declared) {
		size_t length = strcspn(declared, " ");
		if (matched == count || !word_matches(declared, length, words[matched]))
			return 0;
		matched++;
		declared += length + strspn(declared + length, " ");
	}
	return matched;
}

int host_cli(const char *line, char *output, size_t size)
{
	char *copy = strdup(line), *save = NULL, *words[AST_MAX_ARGS + 1];
	int count = 0, best = 0, result = -1, fd;
	struct ast_cli_entry *entry = NULL;
	ssize_t got;
	for (char *word = strtok_r(copy, " ", &save); word && count < AST_MAX_ARGS; word = strtok_r(NULL, " ", &save))
		words[count++] = word;
	words[count] = NULL;
	for (int i = 0; i < MAX_COMMANDS; i++) {
		int matched = commands[i] ? command_matches(commands[i]->command, count, words) : 0;
		if (matched > best) {
			best = matched;
			entry = commands[i];
		}
	}
	fd = memfd_create("console", 0);
	if (entry) {
		struct ast_cli_args arguments = { .fd = fd, .argc = count, .argv = (const char *const *) words };
		char *answer = entry->handler(entry, CLI_HANDLER, &arguments);
		result = (int) (intptr_t) answer;
		if (answer == CLI_SHOWUSAGE)
			ast_cli(fd, "%s", entry->usage);
	}
	got = pread(fd, output, size - 1, 0);
	output[got > 0 ? got : 0] = '\0';
	close(fd);
	free(copy);
	return result;
}
