/*
 * The declaration of a module. The loader opens a module twice; each time, the constructor must register this
 * declaration and the destructor must unregister it.
 */
#ifndef ASTERISK_HEADERS_MODULE_H
#define ASTERISK_HEADERS_MODULE_H

#include "asterisk.h"

/*
 * The loader compares the MD5 of this text, so it must be exact. By presenting it, a module declares itself to be under
 * the GNU GPL, version 2 or later.
 */
#define ASTERISK_GPL_KEY \
	"This paragraph is copyright (c) 2006 by Digium, Inc. In order for your module to load, it must " \
	"return this key via a function called \"key\".  Any code which includes this paragraph must be " \
	"licensed under the GNU General Public License version 2 or later (at your option).  In addition " \
	"to Digium's general reservations of rights, Digium expressly reserves the right to allow other " \
	"parties to license this paragraph under different terms. Any use of Digium, Inc. trademarks or " \
	"logos (including \"Asterisk\" or \"Digium\") without express written permission of Digium, Inc. " \
	"is prohibited.\n"

#define AST_MODULE_CONFIG "modules.conf"

/** The return values of `load`. */
enum ast_module_load_result {
	AST_MODULE_LOAD_SUCCESS = 0,
	AST_MODULE_LOAD_DECLINE = 1, /**< not loaded; loading of other modules continues */
	AST_MODULE_LOAD_SKIP = 2, /**< loaded, but not listed as initialised */
	AST_MODULE_LOAD_PRIORITY = 3,
	AST_MODULE_LOAD_FAILURE = -1, /**< Asterisk stops */
};

enum ast_module_unload_mode {
	AST_FORCE_SOFT = 0,
	AST_FORCE_FIRM = 1,
	AST_FORCE_HARD = 2,
};

enum ast_module_flags {
	AST_MODFLAG_DEFAULT = 0,
	AST_MODFLAG_GLOBAL_SYMBOLS = 1, /**< the second dlopen is global and lazy; otherwise local and immediate */
	AST_MODFLAG_LOAD_ORDER = 2, /**< load_pri is valid */
};

/** Load priorities; lower numbers load first. */
enum ast_module_load_priority {
	AST_MODPRI_REALTIME_DEPEND = 10,
	AST_MODPRI_REALTIME_DEPEND2 = 20,
	AST_MODPRI_REALTIME_DRIVER = 30,
	AST_MODPRI_TIMING = 40,
	AST_MODPRI_CHANNEL_DEPEND = 50,
	AST_MODPRI_CHANNEL_DRIVER = 60,
	AST_MODPRI_APP_DEPEND = 70,
	AST_MODPRI_DEVSTATE_PROVIDER = 80,
	AST_MODPRI_DEVSTATE_PLUGIN = 90,
	AST_MODPRI_CDR_DRIVER = 100,
	AST_MODPRI_DEFAULT = 128,
	AST_MODPRI_DEVSTATE_CONSUMER = 150,
};

struct ast_module_info {
	struct ast_module *self; /**< Set by the core; the argument for ast_module_ref. */
	enum ast_module_load_result (*load)(void);
	int (*reload)(void);
	int (*unload)(void);
	int (*backup_globals)(void);
	void (*restore_globals)(void);
	const char *name; /**< The name of the module: its file name without `.so`. */
	const char *description; /**< Shown by `module show`. */
	const char *key; /**< ASTERISK_GPL_KEY */
	unsigned int flags; /**< of enum ast_module_flags */
	/** Empty, or the MD5 of the core's build options. Every loader accepts an empty string. */
	const char buildopt_sum[33];
	unsigned char load_pri;
	const char *nonoptreq; /**< Names of modules that load first, comma separated. */
};

void ast_module_register(const struct ast_module_info *arg);
void ast_module_unregister(const struct ast_module_info *arg);

/*
 * The use count. Since 11.17.0 there are prefixed replacements; these two are exported up to 11.25.3.
 */
struct ast_module *ast_module_ref(struct ast_module *mod);
void ast_module_unref(struct ast_module *mod);

/** Returns whether a module is loaded and running. */
int ast_module_check(const char *name);
const char *ast_module_name(const struct ast_module *mod);
void ast_update_use_count(void);

#endif
