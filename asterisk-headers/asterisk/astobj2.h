/*
 * Reference-counted objects, and containers of them.
 *
 * An object is a block that the core allocates with a header; the returned pointer is to the user's part. A new object
 * has a count of 1. When the count reaches 0, the destructor is called.
 */
#ifndef ASTERISK_HEADERS_ASTOBJ2_H
#define ASTERISK_HEADERS_ASTOBJ2_H

#include "asterisk.h"

struct ao2_container;

/** The kind of lock that the object has. */
enum ao2_alloc_opts {
	AO2_ALLOC_OPT_LOCK_MUTEX = 0,
	AO2_ALLOC_OPT_LOCK_RWLOCK = 1,
	AO2_ALLOC_OPT_LOCK_NOLOCK = 2,
	AO2_ALLOC_OPT_LOCK_MASK = 3,
};

enum ao2_lock_req {
	AO2_LOCK_REQ_MUTEX = 0,
	AO2_LOCK_REQ_RDLOCK = 1,
	AO2_LOCK_REQ_WRLOCK = 2,
};

enum search_flags {
	OBJ_UNLINK = 1, /**< removes matching objects */
	OBJ_NODATA = 2, /**< returns no object, and so no reference */
	OBJ_MULTIPLE = 4, /**< returns all matching objects, as an iterator */
	OBJ_POINTER = 8, /**< arg is an object, not a key */
	OBJ_CONTINUE = 16, /**< searches all buckets even if the hash selects one */
	OBJ_NOLOCK = 32, /**< the caller holds the container's lock */
	OBJ_KEY = 64, /**< arg is a key */
};

/** Flags returned by a callback. */
enum _cb_results {
	CMP_MATCH = 1,
	CMP_STOP = 2,
};

enum ao2_iterator_flags {
	AO2_ITERATOR_DONTLOCK = 1,
	AO2_ITERATOR_MALLOCD = 2,
	AO2_ITERATOR_UNLINK = 4,
};

typedef void (*ao2_destructor_fn)(void *);
typedef int ao2_callback_fn(void *, void *, int);
typedef int ao2_hash_fn(const void *, int);

struct ao2_iterator {
	struct ao2_container *c;
	int flags;
	int bucket;
	unsigned int c_version;
	void *obj;
	unsigned int version;
};

void *__ao2_alloc(size_t data_size, ao2_destructor_fn destructor_fn, unsigned int options);
/** Returns the count before the change, or -1. */
int __ao2_ref(void *o, int delta);
/** Drops one reference; accepts NULL. */
void __ao2_cleanup(void *obj);
int __ao2_lock(void *a, enum ao2_lock_req lock_how, const char *file, const char *func, int line, const char *var);
int __ao2_trylock(void *a, enum ao2_lock_req lock_how, const char *file, const char *func, int line, const char *var);
int __ao2_unlock(void *a, const char *file, const char *func, int line, const char *var);

struct ao2_container *__ao2_container_alloc(unsigned int options, unsigned int n_buckets, ao2_hash_fn *hash_fn,
	ao2_callback_fn *cmp_fn);
int ao2_container_count(struct ao2_container *c);
/** The container takes its own reference. */
void *__ao2_link(struct ao2_container *c, void *obj_new, int flags);
void *__ao2_unlink(struct ao2_container *c, void *obj, int flags);
void *__ao2_find(struct ao2_container *c, const void *arg, enum search_flags flags);
void *__ao2_callback(struct ao2_container *c, enum search_flags flags, ao2_callback_fn *cb_fn, void *arg);
struct ao2_iterator ao2_iterator_init(struct ao2_container *c, int flags);
/** The caller owns a reference to the returned object. */
void *__ao2_iterator_next(struct ao2_iterator *iter);
void ao2_iterator_destroy(struct ao2_iterator *iter);

#endif
