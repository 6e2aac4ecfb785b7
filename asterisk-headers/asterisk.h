/*
 * Names used by nearly all other headers.
 */
#ifndef ASTERISK_HEADERS_ASTERISK_H
#define ASTERISK_HEADERS_ASTERISK_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct ast_channel;
struct ast_module;
struct ast_sched_context;

#define DEFAULT_SAMPLE_RATE 8000 /**< Hz */
#define DEFAULT_SAMPLES_PER_MS 8

/*
 * Looked up at run time, because a core built with LOW_MEMORY lacks these two functions.
 */
/** Registers a source file with the core, for `core show file version`. */
typedef void (*ast_register_file_version_fn)(const char *, const char *);
typedef void (*ast_unregister_file_version_fn)(const char *);

#endif
