/*
 * A small Asterisk 11 core for tests: its functions in addition to the host's own interface.
 *
 * It behaves like the real one wherever a module can notice: the loader opens, closes and opens a module again, a use
 * count prevents unloading, the last reference to an instance destroys the engine's data, the HTTP server closes
 * remaining streams.
 */
#ifndef HOST_H
#define HOST_H

#include <stddef.h>
#include <stdint.h>
#include "asterisk.h"
#include "asterisk/rtp_engine.h"
#include "asterisk/config.h"
#include "asterisk/tcptls.h"

/* Sets the result of ast_get_version, the DTLS layout, and whether HTTP sessions have a stream. */
void host_set_version(const char *version);
void host_set_before_11_11(int before);
int host_before_11_11(void);

/* Sets `systemname` of asterisk.conf, which is empty at first. */
void host_set_system_name(const char *name);

/* Sets the directory for ast_config_load2. */
void host_set_config_directory(const char *directory);

enum host_load {
	HOST_LOADED = 0,
	HOST_NOT_OPENED = 1, /**< dlopen failed; host_log has the reason */
	HOST_NOT_REGISTERED = 2, /**< the constructor did not call ast_module_register */
	HOST_STAYED_MAPPED = 3, /**< it was still mapped after closing */
	HOST_KEY_REFUSED = 4,
	HOST_DECLINED = 5, /**< load did not return success */
	HOST_ALREADY_LOADED = 6,
};

enum host_load host_module_load(const char *path);
/** Unloads a module. Returns 0, or -1 if it is in use or refuses. The caller checks whether it was unmapped. */
int host_module_unload(const char *name);
/** Unloads a module even if it is in use, as `module unload -f` does. */
int host_module_unload_forced(const char *name);
int host_module_reload(const char *name);
int host_module_use_count(const char *name);
const struct ast_module_info *host_module_info(const char *name);
int host_is_mapped(const char *path);

/* Return everything logged, sent to the manager, or still alive. Texts are copied to the caller and then discarded. */
size_t host_log_take(char *buffer, size_t size);
size_t host_manager_take(char *buffer, size_t size);
long host_objects_alive(void);

/** Runs a console command and copies its output; returns a RESULT_ value, or -1 if there is no such command. */
int host_cli(const char *line, char *output, size_t size);

/** Runs a manager action with one header, and ActionID 7, and copies its response; returns what it returns, or -1 if there is none. */
int host_action(const char *action, const char *name, const char *value, char *response, size_t size);

/**
 * Serves one request on a connected socket, as the HTTP server does on the connection's own thread. Opens a stream on the
 * descriptor, reads lines up to an empty one, passes parameters and headers as lists, and closes the stream unless the
 * callback took it over. `tls` adds a layer that decrypts whole records. Frees the lists.
 */
int host_http_serve(int fd, int tls, const char *uri, int method, struct ast_variable *headers);

/**
 * While set, each octet received over TLS requests a key update (RFC 8446 §4.6.3). Its answer of HOST_KEY_UPDATE_LEN octets
 * must be written before anything else is read or written.
 */
void host_tls_set_key_updates(int on);
#define HOST_KEY_UPDATE_LEN 64
/** The number of calls of ast_tcptls_server_read by modules. */
long host_tls_reads(void);

/** The engine's tables from ast_rtp_instance_get_dtls and _get_ice, in the layout of this host. */
const char *host_dtls_fingerprint(struct ast_rtp_instance *instance);
struct ast_rtp_engine *host_engine(void);

/** A channel of chan_sip with this instance for its audio, or without one a channel that has none. */
struct ast_channel *host_channel_new(struct ast_rtp_instance *instance);
void host_channel_destroy(struct ast_channel *channel);
/** Locks or unlocks it, as a thread of the host that is in the middle of something. */
void host_channel_set_locked(struct ast_channel *channel, int locked);
/** The cause of the hangup that it was asked for, or 0. */
int host_channel_cause(struct ast_channel *channel);

struct ast_trans_pvt;
/** A path by a registered translator, or NULL: by format ids. */
struct ast_trans_pvt *host_path_begin(int from, int to);
void host_path_end(struct ast_trans_pvt *path);
/** Translates a frame as the core does, with the delivery times of a path. The caller frees what it returns, if anything. */
struct ast_frame *host_path_translate(struct ast_trans_pvt *path, struct ast_frame *frame);

struct host_ao2_list {
	size_t count;
	void *objects[64];
};
/** Returns references to all objects of a container. */
void host_ao2_objects(struct ao2_container *container, struct host_ao2_list *list);

#endif
