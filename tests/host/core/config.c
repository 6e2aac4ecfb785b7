/*
 * Configuration files: sections in brackets, `name = value` or `name => value`, semicolon comments.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include "asterisk/config.h"
#include "asterisk/strings.h"
#include "host.h"

struct section {
	struct section *next;
	struct ast_variable *first;
	struct ast_variable **last;
	char name[80];
};

struct ast_config {
	struct section *first;
	struct section **last;
};

static char directory[512] = ".";
/* State of the last loaded file: enough to detect a change of the one file that a test reloads. */
static char last_file[600];
static struct timespec last_change;

void host_set_config_directory(const char *path)
{
	snprintf(directory, sizeof directory, "%s", path);
	last_file[0] = '\0';
}

struct ast_variable *ast_variable_new(const char *name, const char *value, const char *filename)
{
	size_t names = strlen(name) + 1, values = strlen(value) + 1, files = strlen(filename) + 1;
	struct ast_variable *variable = calloc(1, sizeof *variable + names + values + files);
	variable->name = memcpy(variable->stuff, name, names);
	variable->value = memcpy(variable->stuff + names, value, values);
	variable->file = memcpy(variable->stuff + names + values, filename, files);
	return variable;
}

void ast_variables_destroy(struct ast_variable *var)
{
	while (var) {
		struct ast_variable *next = var->next;
		free(var);
		var = next;
	}
}

static char *trim(char *text)
{
	char *end = text + strlen(text);
	while (end > text && isspace((unsigned char) end[-1]))
		*--end = '\0';
	return text + strspn(text, " \t");
}

static struct section *add_section(struct ast_config *config, const char *name)
{
	struct section *section = calloc(1, sizeof *section);
	snprintf(section->name, sizeof section->name, "%s", name);
	section->last = &section->first;
	*config->last = section;
	config->last = &section->next;
	return section;
}

/* Returns 0 if the line is valid. */
static int take_line(struct ast_config *config, struct section **section, char *line, const char *file, int number)
{
	char *equals;
	line[strcspn(line, ";\n")] = '\0';
	line = trim(line);
	if (!*line)
		return 0;
	if (*line == '[') {
		char *end = strchr(line, ']');
		if (!end)
			return -1;
		*end = '\0';
		*section = add_section(config, line + 1);
		return 0;
	}
	equals = strchr(line, '=');
	if (!equals || !*section)
		return 0;
	*equals++ = '\0';
	equals += *equals == '>';
	*(*section)->last = ast_variable_new(trim(line), trim(equals), file);
	(*(*section)->last)->lineno = number;
	(*section)->last = &(*(*section)->last)->next;
	return 0;
}

struct ast_config *ast_config_load2(const char *filename, const char *who_asked, struct ast_flags flags)
{
	char path[600], line[1024];
	struct stat status;
	struct ast_config *config;
	struct section *section = NULL;
	FILE *file;
	(void) who_asked;
	snprintf(path, sizeof path, "%.500s/%.90s", directory, filename);
	if (stat(path, &status) || !(file = fopen(path, "r")))
		return CONFIG_STATUS_FILEMISSING;
	if ((flags.flags & CONFIG_FLAG_FILEUNCHANGED) && !strcmp(path, last_file)
		&& !memcmp(&status.st_mtim, &last_change, sizeof last_change)) {
		fclose(file);
		return CONFIG_STATUS_FILEUNCHANGED;
	}
	snprintf(last_file, sizeof last_file, "%s", path);
	last_change = status.st_mtim;
	config = calloc(1, sizeof *config);
	config->last = &config->first;
	for (int number = 1; fgets(line, sizeof line, file); number++) {
		if (take_line(config, &section, line, filename, number)) {
			ast_config_destroy(config);
			fclose(file);
			return CONFIG_STATUS_FILEINVALID;
		}
	}
	fclose(file);
	return config;
}

void ast_config_destroy(struct ast_config *config)
{
	struct section *section = config->first;
	while (section) {
		struct section *next = section->next;
		ast_variables_destroy(section->first);
		free(section);
		section = next;
	}
	free(config);
}

/* Finds a section by the address of its name, which distinguishes sections of equal names, otherwise by the name. */
static struct section *find(const struct ast_config *config, const char *name)
{
	for (struct section *section = config->first; section; section = section->next)
		if (section->name == name)
			return section;
	for (struct section *section = config->first; section; section = section->next)
		if (!strcasecmp(section->name, name))
			return section;
	return NULL;
}

struct ast_variable *ast_variable_browse(const struct ast_config *config, const char *category)
{
	struct section *section = find(config, category);
	return section ? section->first : NULL;
}

const char *ast_variable_retrieve(const struct ast_config *config, const char *category, const char *variable)
{
	for (struct ast_variable *v = ast_variable_browse(config, category); v; v = v->next)
		if (!strcasecmp(v->name, variable))
			return v->value;
	return NULL;
}

char *ast_category_browse(struct ast_config *config, const char *prev)
{
	struct section *section = prev ? find(config, prev) : config->first;
	if (prev)
		section = section ? section->next : NULL;
	return section ? section->name : NULL;
}

static int is_one_of(const char *value, const char *const *words)
{
	for (; value && *words; words++)
		if (!strcasecmp(value, *words))
			return -1;
	return 0;
}

int ast_true(const char *val)
{
	static const char *const words[] = { "yes", "true", "y", "t", "1", "on", NULL };
	return is_one_of(val, words);
}

int ast_false(const char *val)
{
	static const char *const words[] = { "no", "false", "n", "f", "0", "off", NULL };
	return is_one_of(val, words);
}
