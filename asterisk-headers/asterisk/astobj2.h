/*
 * Counted objects and containers of them.
 *
 * An object is a block that the core allocates with a header in front; the pointer handed out is the user's part. A
 * new one has count 1, and the destructor runs when the count reaches 0.
 */
#ifndef ASTERISK_HEADERS_ASTOBJ2_H
#define ASTERISK_HEADERS_ASTOBJ2_H

#include "asterisk.h"

struct ao2_container;

/** Which lock the object carries. */
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
	OBJ_UNLINK = 1, /**< take what matches out */
	OBJ_NODATA = 2, /**< do not return it, so no reference comes back */
	OBJ_MULTIPLE = 4, /**< all that match, as an iterator */
	OBJ_POINTER = 8, /**< arg is an object, not a key */
	OBJ_CONTINUE = 16, /**< walk all buckets even when the hash names one */
	OBJ_NOLOCK = 32, /**< the caller holds the container's lock */
	OBJ_KEY = 64, /**< arg is a key */
};

/** What a callback answers, or'ed. */
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
/** Answers the count before the change, or -1. */
int __ao2_ref(void *o, int delta);
/** One reference back; NULL is fine. */
void __ao2_cleanup(void *obj);
int __ao2_lock(void *a, enum ao2_lock_req lock_how, const char *file, const char *func, int line, const char *var);
int __ao2_trylock(void *a, enum ao2_lock_req lock_how, const char *file, const char *func, int line, const char *var);
int __ao2_unlock(void *a, const char *file, const char *func, int line, const char *var);

struct ao2_container *__ao2_container_alloc(unsigned int options, unsigned int n_buckets, ao2_hash_fn *hash_fn,
	ao2_callback_fn *cmp_fn);
int ao2_container_count(struct ao2_container *c);
/** The container takes a reference of its own. */
void *__ao2_link(struct ao2_container *c, void *obj_new, int flags);
void *__ao2_unlink(struct ao2_container *c, void *obj, int flags);
void *__ao2_find(struct ao2_container *c, const void *arg, enum search_flags flags);
void *__ao2_callback(struct ao2_container *c, enum search_flags flags, ao2_callback_fn *cb_fn, void *arg);
struct ao2_iterator ao2_iterator_init(struct ao2_container *c, int flags);
/** The caller owns a reference to what it gets. */
void *__ao2_iterator_next(struct ao2_iterator *iter);
void ao2_iterator_destroy(struct ao2_iterator *iter);

#endif
