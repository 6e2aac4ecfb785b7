/*
 * The version of the host. Distributions append to the string. The number is unreliable: certified releases and private
 * builds have wrong ones.
 */
#ifndef ASTERISK_HEADERS_AST_VERSION_H
#define ASTERISK_HEADERS_AST_VERSION_H

const char *ast_get_version(void);
const char *ast_get_version_num(void);

/** Looked up at run time: on an unknown host the version must be known before anything else of the host is used. */
typedef const char *(*ast_get_version_fn)(void);
/** Lists all selected build options, AST_DEVMODE first. Exists since 11.21.0. */
typedef const char *(*ast_get_build_opts_fn)(void);

#endif
