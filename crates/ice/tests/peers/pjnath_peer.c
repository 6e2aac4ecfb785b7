/* The peer of interop_peers.rs: pjnath on loopback, told what to do by lines on standard input.
 *
 * First line: controlling|controlled, the number of components, aggressive|regular. It prints its description, reads
 * ours, connects, and sends back whatever arrives. Built against a compiled pjproject 2 in $P:
 *
 *   cc -DPJ_AUTOCONF=1 -DPJ_IS_BIG_ENDIAN=0 \
 *      -DPJ_IS_LITTLE_ENDIAN=1 -I$P/pjlib/include -I$P/pjlib-util/include -I$P/pjnath/include pjnath_peer.c \
 *      $P/pjnath/lib/libpjnath-*.a $P/pjlib-util/lib/libpjlib-util-*.a $P/pjlib/lib/libpj-*.a -lm -luuid -lpthread -o pjnath_peer
 */
#include <pjlib.h>
#include <pjlib-util.h>
#include <pjnath.h>
#include <stdio.h>
#include <string.h>

enum { MOST_CANDIDATES = 32 };

static pj_ice_strans_cfg config;
static int initialised, negotiated;

static void check(pj_status_t status, const char *what)
{
    if (status != PJ_SUCCESS) {
        fprintf(stderr, "%s: %d\n", what, status);
        exit(1);
    }
}

static void completed(pj_ice_strans *ice, pj_ice_strans_op op, pj_status_t status)
{
    (void) ice;
    if (op == PJ_ICE_STRANS_OP_INIT)
        initialised = status == PJ_SUCCESS ? 1 : -1;
    else if (op == PJ_ICE_STRANS_OP_NEGOTIATION) {
        negotiated = status == PJ_SUCCESS ? 1 : -1;
        puts(negotiated > 0 ? "connected" : "failed");
        fflush(stdout);
    }
}

static void received(pj_ice_strans *ice, unsigned component, void *data, pj_size_t size, const pj_sockaddr_t *from,
                     unsigned from_len)
{
    pj_ice_strans_sendto(ice, component, data, size, from, (int) from_len);
}

static void poll_once(void)
{
    pj_time_val wait = { 0, 10 }, next = { 0, 0 };
    pj_timer_heap_poll(config.stun_cfg.timer_heap, &next);
    pj_ioqueue_poll(config.stun_cfg.ioqueue, &wait);
}

static void print_candidates(pj_ice_strans *ice, unsigned component)
{
    pj_ice_sess_cand candidates[MOST_CANDIDATES];
    unsigned count = MOST_CANDIDATES, i;
    char ip[PJ_INET6_ADDRSTRLEN];
    check(pj_ice_strans_enum_cands(ice, component, &count, candidates), "enum_cands");
    for (i = 0; i < count; i++) {
        const pj_ice_sess_cand *c = &candidates[i];
        pj_sockaddr_print(&c->addr, ip, sizeof(ip), 0);
        if (!strcmp(ip, "127.0.0.1"))
            printf("candidate %.*s %u udp %u %s %u typ host\n", (int) c->foundation.slen, c->foundation.ptr, component,
                   c->prio, ip, (unsigned) pj_sockaddr_get_port(&c->addr));
    }
}

static unsigned read_description(char ufrag[], char password[], pj_ice_sess_cand candidates[])
{
    char line[600], foundation[64], ip[64];
    unsigned count = 0, component, priority, port;
    while (fgets(line, sizeof(line), stdin) && strncmp(line, "end", 3)) {
        pj_ice_sess_cand *c = &candidates[count];
        pj_str_t text;
        if (sscanf(line, "credentials %256s %256s", ufrag, password) == 2)
            continue;
        if (sscanf(line, "candidate %63s %u udp %u %63s %u", foundation, &component, &priority, ip, &port) != 5)
            continue;
        memset(c, 0, sizeof(*c));
        c->type = PJ_ICE_CAND_TYPE_HOST;
        c->comp_id = (pj_uint8_t) component;
        c->prio = priority;
        c->foundation = pj_str(strdup(foundation));
        text = pj_str(ip);
        check(pj_sockaddr_init(pj_AF_INET(), &c->addr, &text, (pj_uint16_t) port), "address");
        c->base_addr = c->addr;
        count++;
    }
    return count;
}

int main(void)
{
    pj_caching_pool pools;
    pj_pool_t *pool;
    pj_ice_strans *ice;
    pj_ice_strans_cb callbacks;
    pj_ice_sess_cand theirs[MOST_CANDIDATES];
    char role[32], nomination[32], ufrag[257], password[257];
    unsigned components, i, count;
    pj_str_t local_ufrag, local_password, remote_ufrag, remote_password;

    pj_log_set_level(getenv("PJNATH_LOG") ? atoi(getenv("PJNATH_LOG")) : 0);
    check(pj_init(), "pj_init");
    check(pjlib_util_init(), "pjlib_util_init");
    check(pjnath_init(), "pjnath_init");
    pj_caching_pool_init(&pools, NULL, 0);
    pool = pj_pool_create(&pools.factory, "peer", 4000, 4000, NULL);
    pj_ice_strans_cfg_default(&config);
    config.stun_cfg.pf = &pools.factory;
    check(pj_timer_heap_create(pool, 100, &config.stun_cfg.timer_heap), "timers");
    check(pj_ioqueue_create(pool, 16, &config.stun_cfg.ioqueue), "ioqueue");
    config.af = pj_AF_INET();
    config.stun.loop_addr = PJ_TRUE;

    if (scanf("%31s %u %31s\n", role, &components, nomination) != 3)
        return 2;
    config.opt.aggressive = !strcmp(nomination, "aggressive");
    memset(&callbacks, 0, sizeof(callbacks));
    callbacks.on_rx_data = received;
    callbacks.on_ice_complete = completed;
    check(pj_ice_strans_create("peer", &config, components, NULL, &callbacks, &ice), "create");
    while (!initialised)
        poll_once();
    check(pj_ice_strans_init_ice(ice,
                                 strcmp(role, "controlling") ? PJ_ICE_SESS_ROLE_CONTROLLED : PJ_ICE_SESS_ROLE_CONTROLLING,
                                 NULL, NULL), "init_ice");
    pj_ice_strans_get_ufrag_pwd(ice, &local_ufrag, &local_password, NULL, NULL);
    printf("credentials %.*s %.*s\n", (int) local_ufrag.slen, local_ufrag.ptr, (int) local_password.slen,
           local_password.ptr);
    for (i = 1; i <= components; i++)
        print_candidates(ice, i);
    puts("end");
    fflush(stdout);

    count = read_description(ufrag, password, theirs);
    remote_ufrag = pj_str(ufrag);
    remote_password = pj_str(password);
    check(pj_ice_strans_start_ice(ice, &remote_ufrag, &remote_password, count, theirs), "start_ice");
    while (negotiated >= 0)
        poll_once();
    return 0;
}
