/*
 * The module loader: opens a module lazily to read its info, closes it, opens it again as the info requires, and loads it.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "asterisk/ast_version.h"
#include "asterisk/logger.h"
#include "asterisk/module.h"
#include "host.h"

struct ast_module {
	struct ast_module *next;
	const struct ast_module_info *info;
	void *library;
	int uses;
	int running;
	char name[80];
};

static struct ast_module *modules;
static struct ast_module *newest;
static char version[80] = "11.25.3";

void host_set_version(const char *text)
{
	snprintf(version, sizeof version, "%s", text);
}

const char *ast_get_version(void)
{
	return version;
}

const char *ast_get_version_num(void)
{
	return "999999";
}

void ast_module_register(const struct ast_module_info *arg)
{
	struct ast_module *module = calloc(1, sizeof *module);
	module->info = arg;
	snprintf(module->name, sizeof module->name, "%s", arg->name);
	module->next = modules;
	modules = module;
	newest = module;
	*(struct ast_module **) &arg->self = module;
}

void ast_module_unregister(const struct ast_module_info *arg)
{
	for (struct ast_module **link = &modules; *link; link = &(*link)->next) {
		if ((*link)->info == arg) {
			struct ast_module *module = *link;
			*link = module->next;
			free(module);
			return;
		}
	}
}

struct ast_module *ast_module_ref(struct ast_module *mod)
{
	if (mod)
		__atomic_add_fetch(&mod->uses, 1, __ATOMIC_SEQ_CST);
	return mod;
}

void ast_module_unref(struct ast_module *mod)
{
	if (mod && __atomic_sub_fetch(&mod->uses, 1, __ATOMIC_SEQ_CST) < 0)
		abort();
}

const char *ast_module_name(const struct ast_module *mod)
{
	return mod ? mod->name : NULL;
}

static struct ast_module *find(const char *name)
{
	struct ast_module *module = modules;
	while (module && strcmp(module->name, name))
		module = module->next;
	return module;
}

int ast_module_check(const char *name)
{
	return find(name) != NULL;
}

void ast_update_use_count(void)
{
}

int host_module_use_count(const char *name)
{
	struct ast_module *module = find(name);
	return module ? module->uses : -1;
}

const struct ast_module_info *host_module_info(const char *name)
{
	struct ast_module *module = find(name);
	return module && module->running ? module->info : NULL;
}

int host_is_mapped(const char *path)
{
	char line[4096];
	int found = 0;
	FILE *maps = fopen("/proc/self/maps", "r");
	while (maps && !found && fgets(line, sizeof line, maps))
		found = strstr(line, path) != NULL;
	if (maps)
		fclose(maps);
	return found;
}

static void *open_library(const char *path, int flags)
{
	void *library;
	newest = NULL;
	library = dlopen(path, flags);
	if (!library)
		ast_log(__LOG_WARNING, __FILE__, __LINE__, __func__, "Error loading module '%s': %s\n", path, dlerror());
	return library;
}

static enum host_load start(struct ast_module *module)
{
	if (module->info->load() != AST_MODULE_LOAD_SUCCESS)
		return HOST_DECLINED;
	module->running = 1;
	return HOST_LOADED;
}

/* A module that stayed mapped because another one is bound to it is still registered, and starts again in the same image. */
static struct ast_module *left_from_before(const char *path)
{
	struct ast_module *module = modules;
	while (module && !strstr(path, module->name))
		module = module->next;
	return module;
}

enum host_load host_module_load(const char *path)
{
	struct ast_module *module = left_from_before(path);
	void *library;
	int global;
	if (module)
		return module->running ? HOST_ALREADY_LOADED : start(module);
	library = open_library(path, RTLD_LAZY | RTLD_LOCAL);
	module = newest;
	if (!library)
		return HOST_NOT_OPENED;
	if (!module) {
		dlclose(library);
		return HOST_NOT_REGISTERED;
	}
	global = module->info->flags & AST_MODFLAG_GLOBAL_SYMBOLS;
	dlclose(library);
	if (host_is_mapped(path))
		return HOST_STAYED_MAPPED;
	library = open_library(path, global ? RTLD_LAZY | RTLD_GLOBAL : RTLD_NOW | RTLD_LOCAL);
	module = newest;
	if (!library)
		return HOST_NOT_OPENED;
	if (!module)
		return HOST_NOT_REGISTERED;
	module->library = library;
	if (strcmp(module->info->key, ASTERISK_GPL_KEY) || module->info->buildopt_sum[0]) {
		dlclose(library);
		return HOST_KEY_REFUSED;
	}
	if (start(module) != HOST_LOADED) {
		dlclose(library);
		return HOST_DECLINED;
	}
	return HOST_LOADED;
}

int host_module_unload(const char *name)
{
	struct ast_module *module = find(name);
	return module && module->uses ? -1 : host_module_unload_forced(name);
}

int host_module_unload_forced(const char *name)
{
	struct ast_module *module = find(name);
	void *library;
	if (!module || !module->running || module->info->unload())
		return -1;
	module->running = 0;
	/* If this unmaps the module, its destructor removes the entry. If the image was reused, there is nothing left to close. */
	library = module->library;
	module->library = NULL;
	if (library)
		dlclose(library);
	return 0;
}

int host_module_reload(const char *name)
{
	struct ast_module *module = find(name);
	return module && module->info->reload ? module->info->reload() : -1;
}
