/*
 * Names that nearly every other header mentions.
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
 * A core built with LOW_MEMORY lacks these two, so a module that has to load there looks them up.
 */
/** Tells the core which source files are loaded, for `core show file version`. */
typedef void (*ast_register_file_version_fn)(const char *, const char *);
typedef void (*ast_unregister_file_version_fn)(const char *);

#endif
