/*
 * Reference-counted objects. Each has a header that detects a superfluous drop of a reference.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "asterisk/astobj2.h"
#include "host.h"

#define ALIVE 0xA0B1C2D3u

struct header {
	uint32_t state;
	int references;
	ao2_destructor_fn destructor;
	pthread_mutex_t lock;
	_Alignas(16) unsigned char user[];
};

struct node {
	struct node *next;
	void *object;
};

struct ao2_container {
	ao2_callback_fn *compare;
	struct node *first;
	struct node **last;
	int count;
	unsigned int version;
};

static long alive;

long host_objects_alive(void)
{
	return __atomic_load_n(&alive, __ATOMIC_SEQ_CST);
}

static struct header *header_of(void *object, const char *what)
{
	struct header *header = (struct header *) ((char *) object - offsetof(struct header, user));
	if (header->state != ALIVE) {
		fprintf(stderr, "host: %s of an object that is gone (%p)\n", what, object);
		abort();
	}
	return header;
}

void *__ao2_alloc(size_t data_size, ao2_destructor_fn destructor_fn, unsigned int options)
{
	struct header *header = calloc(1, sizeof *header + data_size);
	pthread_mutexattr_t recursive;
	(void) options;
	if (!header)
		return NULL;
	pthread_mutexattr_init(&recursive);
	pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
	pthread_mutex_init(&header->lock, &recursive);
	pthread_mutexattr_destroy(&recursive);
	header->state = ALIVE;
	header->references = 1;
	header->destructor = destructor_fn;
	__atomic_add_fetch(&alive, 1, __ATOMIC_SEQ_CST);
	return header->user;
}

int __ao2_ref(void *o, int delta)
{
	struct header *header;
	int before;
	if (!o)
		return -1;
	header = header_of(o, "reference");
	before = __atomic_fetch_add(&header->references, delta, __ATOMIC_SEQ_CST);
	if (before + delta > 0)
		return before;
	if (before + delta < 0)
		abort();
	if (header->destructor)
		header->destructor(o);
	header->state = 0;
	pthread_mutex_destroy(&header->lock);
	free(header);
	__atomic_sub_fetch(&alive, 1, __ATOMIC_SEQ_CST);
	return before;
}

void __ao2_cleanup(void *obj)
{
	if (obj)
		__ao2_ref(obj, -1);
}

int __ao2_lock(void *a, enum ao2_lock_req lock_how, const char *file, const char *func, int line, const char *var)
{
	(void) lock_how, (void) file, (void) func, (void) line, (void) var;
	return pthread_mutex_lock(&header_of(a, "lock")->lock);
}

int __ao2_trylock(void *a, enum ao2_lock_req lock_how, const char *file, const char *func, int line, const char *var)
{
	(void) lock_how, (void) file, (void) func, (void) line, (void) var;
	return pthread_mutex_trylock(&header_of(a, "lock")->lock);
}

int __ao2_unlock(void *a, const char *file, const char *func, int line, const char *var)
{
	(void) file, (void) func, (void) line, (void) var;
	return pthread_mutex_unlock(&header_of(a, "unlock")->lock);
}

static void lock(struct ao2_container *container)
{
	pthread_mutex_lock(&header_of(container, "lock")->lock);
}

static void unlock(struct ao2_container *container)
{
	pthread_mutex_unlock(&header_of(container, "unlock")->lock);
}

static void *take_out(struct ao2_container *container, struct node **link)
{
	struct node *node = *link;
	void *object = node->object;
	*link = node->next;
	if (!*link)
		container->last = link;
	free(node);
	container->count--;
	container->version++;
	return object;
}

static void container_destructor(void *object)
{
	struct ao2_container *container = object;
	while (container->first)
		__ao2_ref(take_out(container, &container->first), -1);
}

struct ao2_container *__ao2_container_alloc(unsigned int options, unsigned int n_buckets, ao2_hash_fn *hash_fn,
	ao2_callback_fn *cmp_fn)
{
	struct ao2_container *container = __ao2_alloc(sizeof *container, container_destructor, options);
	(void) n_buckets, (void) hash_fn;
	if (container) {
		container->compare = cmp_fn;
		container->last = &container->first;
	}
	return container;
}

int ao2_container_count(struct ao2_container *c)
{
	return __atomic_load_n(&c->count, __ATOMIC_SEQ_CST);
}

void *__ao2_link(struct ao2_container *c, void *obj_new, int flags)
{
	struct node *node = calloc(1, sizeof *node);
	(void) flags;
	node->object = obj_new;
	__ao2_ref(obj_new, 1);
	lock(c);
	*c->last = node;
	c->last = &node->next;
	c->count++;
	c->version++;
	unlock(c);
	return node;
}

static int is_same(void *object, void *arg, int flags)
{
	(void) flags;
	return object == arg ? CMP_MATCH | CMP_STOP : 0;
}

void *__ao2_unlink(struct ao2_container *c, void *obj, int flags)
{
	(void) flags;
	__ao2_callback(c, OBJ_UNLINK | OBJ_NODATA | OBJ_POINTER, is_same, obj);
	return NULL;
}

/* Does not support OBJ_MULTIPLE with data: no caller here needs an iterator. */
void *__ao2_callback(struct ao2_container *c, enum search_flags flags, ao2_callback_fn *cb_fn, void *arg)
{
	void *found = NULL;
	lock(c);
	for (struct node **link = &c->first; *link;) {
		int verdict = cb_fn ? cb_fn((*link)->object, arg, flags) : CMP_MATCH;
		if (!(verdict & CMP_MATCH)) {
			link = &(*link)->next;
		} else if (flags & OBJ_UNLINK) {
			void *object = take_out(c, link);
			if (flags & OBJ_NODATA)
				__ao2_ref(object, -1);
			else
				found = object;
		} else {
			if (!(flags & OBJ_NODATA)) {
				found = (*link)->object;
				__ao2_ref(found, 1);
			}
			link = &(*link)->next;
		}
		if (found || (verdict & CMP_STOP) || ((verdict & CMP_MATCH) && !(flags & OBJ_MULTIPLE)))
			break;
	}
	unlock(c);
	return found;
}

void *__ao2_find(struct ao2_container *c, const void *arg, enum search_flags flags)
{
	return __ao2_callback(c, flags, c->compare, (void *) arg);
}

struct ao2_iterator ao2_iterator_init(struct ao2_container *c, int flags)
{
	struct ao2_iterator iterator = { .c = c, .flags = flags };
	__ao2_ref(c, 1);
	return iterator;
}

void *__ao2_iterator_next(struct ao2_iterator *iter)
{
	struct node *node;
	void *object = NULL;
	int position = iter->bucket;
	lock(iter->c);
	for (node = iter->c->first; node && position--;)
		node = node->next;
	if (node) {
		object = node->object;
		__ao2_ref(object, 1);
		iter->bucket++;
	}
	unlock(iter->c);
	return object;
}

void ao2_iterator_destroy(struct ao2_iterator *iter)
{
	__ao2_ref(iter->c, -1);
	iter->c = NULL;
}

void host_ao2_objects(struct ao2_container *container, struct host_ao2_list *list)
{
	struct ao2_iterator iterator = ao2_iterator_init(container, 0);
	void *object;
	list->count = 0;
	while (list->count < sizeof list->objects / sizeof *list->objects && (object = __ao2_iterator_next(&iterator)))
		list->objects[list->count++] = object;
	ao2_iterator_destroy(&iterator);
}
