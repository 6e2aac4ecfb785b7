/*
 * A small Asterisk 11 core, for tests: what it offers beside the host's own interface.
 *
 * It behaves as the real one does where a module can tell: the loader opens, closes and opens again, a use count refuses
 * unloading, an instance destroys its engine's data on the last reference, the HTTP server closes what it is left with.
 */
#ifndef HOST_H
#define HOST_H

#include <stddef.h>
#include <stdint.h>
#include "asterisk.h"
#include "asterisk/rtp_engine.h"
#include "asterisk/config.h"
#include "asterisk/tcptls.h"

/* What ast_get_version answers; which DTLS layout there is, and whether HTTP sessions have a stream. */
void host_set_version(const char *version);
void host_set_before_11_11(int before);
int host_before_11_11(void);

/* Where ast_config_load2 looks. */
void host_set_config_directory(const char *directory);

enum host_load {
	HOST_LOADED = 0,
	HOST_NOT_OPENED = 1, /**< dlopen failed; host_log has why */
	HOST_NOT_REGISTERED = 2, /**< the constructor did not call ast_module_register */
	HOST_STAYED_MAPPED = 3, /**< closing did not unmap it */
	HOST_KEY_REFUSED = 4,
	HOST_DECLINED = 5, /**< load answered something else than success */
	HOST_ALREADY_LOADED = 6,
};

enum host_load host_module_load(const char *path);
/** 0, or -1 when in use or when the module refuses. Unmapping is checked by the caller. */
int host_module_unload(const char *name);
/** Likewise, but what is in use is asked too, as by `module unload -f`. */
int host_module_unload_forced(const char *name);
int host_module_reload(const char *name);
int host_module_use_count(const char *name);
const struct ast_module_info *host_module_info(const char *name);
int host_is_mapped(const char *path);

/* Everything logged, sent to the manager, or still alive. The texts are copied out and forgotten. */
size_t host_log_take(char *buffer, size_t size);
size_t host_manager_take(char *buffer, size_t size);
long host_objects_alive(void);

/** Runs one line as the console would and copies what it printed; the answer is RESULT_ like, -1 for no such command. */
int host_cli(const char *line, char *output, size_t size);

/**
 * Serves one request on a connected socket, as the HTTP server does on the connection's own thread: with a stream around
 * the descriptor, from which lines are read up to an empty one, parameters and headers as lists, and fclose of what the callback leaves. `tls` puts a layer that
 * decrypts whole records in between. The lists are freed here.
 */
int host_http_serve(int fd, int tls, const char *uri, int method, struct ast_variable *headers);

/**
 * While this is set, each octet that comes over TLS asks for a key update (RFC 8446 §4.6.3), whose answer of
 * HOST_KEY_UPDATE_LEN octets has to be written before anything else is read or written.
 */
void host_tls_set_key_updates(int on);
#define HOST_KEY_UPDATE_LEN 64
/** How often modules have called ast_tcptls_server_read. */
long host_tls_reads(void);

/** The engine's tables that chan_sip reaches through ast_rtp_instance_get_dtls and _get_ice, in the form of this host. */
const char *host_dtls_fingerprint(struct ast_rtp_instance *instance);
struct ast_rtp_engine *host_engine(void);

struct host_ao2_list {
	size_t count;
	void *objects[64];
};
/** References to all objects of a container. */
void host_ao2_objects(struct ao2_container *container, struct host_ao2_list *list);

#endif
