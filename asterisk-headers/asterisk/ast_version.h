/*
 * Which Asterisk this is. Distributions append to the string; the number is not to be relied on, since the certified
 * releases and private builds misstate it.
 */
#ifndef ASTERISK_HEADERS_AST_VERSION_H
#define ASTERISK_HEADERS_AST_VERSION_H

const char *ast_get_version(void);
const char *ast_get_version_num(void);

/** Looked up, because a host that is not Asterisk 11 has to be asked before anything of it is used. */
typedef const char *(*ast_get_version_fn)(void);
/** Every selected build option, AST_DEVMODE first. 11.21.0 and later have it. */
typedef const char *(*ast_get_build_opts_fn)(void);

#endif
