/*
 * wire.h - the contract between libsshim.so and the broker, and between `sshim CMD` and the broker.
 *
 * Every message is one SOCK_SEQPACKET datagram that carries at most one file descriptor. Both ends
 * run on the same machine and kernel, so integers are in host order; a version that does not match
 * is refused. PROTOCOL.md says which message is permitted when; wire_check() is the only judge of
 * whether a datagram is a message at all.
 */
#ifndef SSHIM_PROTO_WIRE_H
#define SSHIM_PROTO_WIRE_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define WIRE_MAGIC 0x4d485353u /* "SSHM" */
#define WIRE_VERSION 1

/* The file for messages is beside the control socket, which is for text. */
#define WIRE_LINK_SUFFIX ".link"

/* A sockaddr is at most a sockaddr_un of 110 bytes; the rest is padding. */
#define WIRE_ADDRESS_MAX 112
#define WIRE_TOKEN_SIZE 16

/* A worker has a file mapped whose memfd name is this and the token in hexadecimal digits: a title
 * that is written over the environment does not hide it, and fork(2) hands it down. */
#define WIRE_TOKEN_FILE "sshim-token:"
#define WIRE_TOKEN_TEXT_SIZE (2 * WIRE_TOKEN_SIZE + 1)

/* The token in hexadecimal digits, with its end. Pure, async-signal-safe. */
void wire_format_token(const uint8_t token[WIRE_TOKEN_SIZE], char text[WIRE_TOKEN_TEXT_SIZE]);
/* No slot: the peer was not started by the broker and asks to join. */
#define WIRE_SLOT_NONE UINT32_MAX

/*
 * Every message, whether it carries an fd, and its size.
 *
 * link: a connection to the broker's rendezvous socket, made for one request and closed after the
 * answer. channel: the SEQPACKET pair of one worker and one listener.
 */
// clang-format off
#define WIRE_TYPES(X)                                                                     \
    /* name     no  fd        struct         smallest size       who sends it, where */   \
    X(CLAIM,     1, REQUIRED, wire_claim,    WIRE_CLAIM_MIN)  /* worker, link */          \
    X(ATTACH,    2, OPTIONAL, wire_attach,   WIRE_WHOLE)      /* worker, link */          \
    X(GRANT,     3, OPTIONAL, wire_grant,    WIRE_WHOLE)      /* broker, link */          \
    X(SHADOW,    4, REQUIRED, wire_head,     WIRE_WHOLE)      /* broker, link */          \
    X(BOARD,     5, REQUIRED, wire_head,     WIRE_WHOLE)      /* broker, link */          \
    X(OFFER,     6, REQUIRED, wire_offer,    WIRE_OFFER_MIN)  /* broker, channel */       \
    X(WAKE,      7, NONE,     wire_head,     WIRE_WHOLE)      /* worker, channel */       \
    X(LISTEN,    8, NONE,     wire_listen,   WIRE_WHOLE)      /* worker, channel */       \
    X(CLOSE,     9, NONE,     wire_head,     WIRE_WHOLE)      /* worker, channel */       \
    X(COMMAND,  10, NONE,     wire_command,  WIRE_COMMAND_MIN) /* operator, link */       \
    X(TEXT,     11, NONE,     wire_text,     WIRE_TEXT_MIN)   /* broker, link */          \
    X(RESULT,   12, NONE,     wire_result,   WIRE_WHOLE)      /* broker, link */          \
    X(FD_TRANSFER, 13, REQUIRED, wire_fd_transfer, WIRE_WHOLE)      /* broker to broker, link */ \
    X(PROXIED,  14, NONE,     wire_proxied,  WIRE_WHOLE)      /* worker, link */          \
    X(NOTES,    15, NONE,     wire_head,     WIRE_WHOLE)      /* worker, channel */
// clang-format on

/* A smallest size of 0: the message has one size only. */
#define WIRE_WHOLE 0

enum wire_fd { WIRE_FD_NONE, WIRE_FD_OPTIONAL, WIRE_FD_REQUIRED };

enum wire_type {
#define X(name, value, fd, type, min) WIRE_##name = value,
    WIRE_TYPES(X)
#undef X
};

struct wire_head {
    uint32_t magic;
    uint16_t version;
    uint16_t type;
};
static_assert(sizeof(struct wire_head) == 8, "wire_head is 8 bytes");

/* Of a message of this type. */
#define WIRE_HEAD(of_type) ((struct wire_head){WIRE_MAGIC, WIRE_VERSION, (uint16_t)(of_type)})

/* Who asks. A worker that the broker started proves it by its token; one that joins is known by
 * SO_PEERCRED alone. */
struct wire_auth {
    uint8_t token[WIRE_TOKEN_SIZE];
    uint32_t slot;
    uint32_t reserved;
};
static_assert(sizeof(struct wire_auth) == 24, "wire_auth is 24 bytes");

/* A raw sockaddr. For a path of AF_UNIX in WIRE_CLAIM only the last component: its folder is the
 * fd. */
struct wire_address {
    uint32_t len_bytes;
    uint8_t bytes[WIRE_ADDRESS_MAX];
};
static_assert(sizeof(struct wire_address) == 116, "wire_address is 116 bytes");

/*
 * Worker: asks to share this address.
 *
 * Answer: WIRE_GRANT; with WIRE_SHARED it carries the worker's end of the channel, and WIRE_SHADOW
 * (the canonical socket) and WIRE_BOARD (the scoreboard's memory) follow.
 */
struct wire_claim {
    struct wire_head head;
    struct wire_auth auth;
    struct wire_address address;
    uint32_t flags; /* WIRE_CLAIM_* */
    uint64_t ino;   /* with WIRE_CLAIM_BOUND and LOOK: of the file; 0: not known. May be left out */
};
#define WIRE_CLAIM_MIN offsetof(struct wire_claim, ino)
#define WIRE_CLAIM_REUSEPORT                                                                       \
    1u /* SO_REUSEPORT is set: a second claim inside one worker is permitted */
#define WIRE_CLAIM_FOLDER                                                                          \
    2u /* the fd is the O_PATH folder of an AF_UNIX path, nothing is bound yet */
#define WIRE_CLAIM_BOUND                                                                           \
    4u /* the fd is the socket that the worker has bound to that path itself; if it is not bound,  \
          the path was in use */
#define WIRE_CLAIM_REMOVE                                                                          \
    8u /* the fd is the folder, as with FOLDER; the peer is about to remove the socket file */
#define WIRE_CLAIM_LOOK                                                                            \
    16u /* the peer is about to connect to the address; the fd is that socket, or the folder as    \
           with FOLDER */
static_assert(sizeof(struct wire_claim) == 160, "wire_claim is 160 bytes");

/* Worker: holds the worker's end of this channel (after exec, or received) and asks for its shadow
 * and scoreboard. */
struct wire_attach {
    struct wire_head head;
    struct wire_auth auth;
    uint64_t channel;
    uint32_t flags; /* WIRE_ATTACH_* */
    uint32_t reserved;
};
/*
 * The message carries the worker's end of the channel: if the broker has closed its dup, it keeps
 * this one. With RENEW the channel was shut down, and the grant brings a new one; the message
 * carries the canonical socket, by which the listener is found even if the channel is forgotten.
 * With SOCKET it carries the canonical socket, which is all that the program has, and the grant
 * brings the channel (--handoff direct).
 */
#define WIRE_ATTACH_RENEW 1u
#define WIRE_ATTACH_SOCKET 2u
#define WIRE_ATTACH_UNCLOSED                                                                       \
    4u /* the program has closed no listener so far: if its process has asked for this channel     \
          before, it has executed a program since, and still counts as a holder */
static_assert(sizeof(struct wire_attach) == 48, "wire_attach is 48 bytes");

/* Worker: asks for the table of clients behind balancers (proxied.h). Answer: WIRE_BOARD with its
 * memory, for reading only; or the end of the link: there is none. */
struct wire_proxied {
    struct wire_head head;
    struct wire_auth auth;
};
static_assert(sizeof(struct wire_proxied) == 32, "wire_proxied is 32 bytes");

enum wire_verdict {
    WIRE_SHARED = 1,  /* channel, shadow and board follow */
    WIRE_PRIVATE = 2, /* not an address that is shared: bind it natively */
    WIRE_FAILED = 3,  /* .error is what bind(2) gave */
    WIRE_VACANT = 4,  /* AF_UNIX path: it is yours while this connection lasts; bind it and send
                         WIRE_CLAIM_BOUND here, or remove it */
};

struct wire_grant {
    struct wire_head head;
    uint32_t verdict; /* enum wire_verdict */
    int32_t error;
    uint64_t channel; /* EBUSY, to WIRE_CLAIM_REMOVE: the inode of the file that is shared */
    uint32_t backlog; /* what to pass to listen(2); 0 = what the program asks for */
    uint32_t flags;   /* WIRE_GRANT_* */
};
#define WIRE_GRANT_PROXIED 1u /* balancers tell whose connections are: ask by WIRE_PROXIED */
#define WIRE_GRANT_UNMAP 2u   /* --unmap */
static_assert(sizeof(struct wire_grant) == 32, "wire_grant is 32 bytes");

/* Broker: a connection, and the address accept(2) would have given. Sent as WIRE_OFFER_MIN +
 * addr_len bytes. */
struct wire_offer {
    struct wire_head head;
    uint32_t flags; /* WIRE_OFFER_* */
    uint32_t addr_len;
    uint8_t addr[WIRE_ADDRESS_MAX];
};
#define WIRE_OFFER_NONBLOCK 1u  /* the connection has O_NONBLOCK set */
#define WIRE_OFFER_USE_SHIFT 1u /* the bits from here on are WIRE_GRANT_* */
#define WIRE_OFFER_MIN offsetof(struct wire_offer, addr)
static_assert(sizeof(struct wire_offer) == 128, "wire_offer is 128 bytes");

/* Worker: the canonical socket listens now; backlog is the number the program gave. */
struct wire_listen {
    struct wire_head head;
    int32_t backlog;
    uint32_t reserved;
};
static_assert(sizeof(struct wire_listen) == 16, "wire_listen is 16 bytes");

#define WIRE_COMMANDS(X)                                                                           \
    X(STATUS, 1, "status")                                                                         \
    X(STATUS_JSON, 2, "status --json")                                                             \
    X(STOP, 3, "stop")                                                                             \
    X(RESTART, 4, "restart")                                                                       \
    X(TAKEOVER, 5, "take over")                                                                    \
    X(UPGRADE, 6, "upgrade")                                                                       \
    X(LINE, 7, "what the line says")

enum wire_command_code {
#define X(name, value, text) WIRE_COMMAND_##name = value,
    WIRE_COMMANDS(X)
#undef X
};

#define WIRE_LINE_MAX 256

struct wire_command {
    struct wire_head head;
    uint32_t code;     /* enum wire_command_code */
    uint32_t argument; /* restart: how many at a time, and WIRE_RESTART_NO_WAIT; take over: the
                          newest format of snapshots that the new broker reads; others:
                          WIRE_JOIN */
    char line[WIRE_LINE_MAX]; /* LINE: words between spaces; sent as far as it is needed */
};
#define WIRE_COMMAND_MIN offsetof(struct wire_command, line)
#define WIRE_JOIN 0x40000000u /* the broker before was asked, which has ended without an answer */
#define WIRE_RESTART_NO_WAIT 0x80000000u /* answer before the old workers have ended */
static_assert(sizeof(struct wire_command) == 16 + WIRE_LINE_MAX, "wire_command is 272 bytes");

/* Broker: what a command prints. Sent as WIRE_TEXT_MIN + the length of the text. */
#define WIRE_TEXT_MAX 4000
struct wire_text {
    struct wire_head head;
    char text[WIRE_TEXT_MAX];
};
#define WIRE_TEXT_MIN offsetof(struct wire_text, text)

/* So long after it began to serve, a process that has bound a listener itself goes on to open its
 * own ports: what it binds is not late. The library counts from the first accept, the broker from
 * the first listen. */
#define WIRE_BEGINNING_MS 3000

/* Largest datagram either side sends. */
#define WIRE_MESSAGE_MAX sizeof(struct wire_text)

/* Broker: the command ended. Any WIRE_TEXT of it came before. */
struct wire_result {
    struct wire_head head;
    int32_t exit_code;
    uint32_t reserved;
};
static_assert(sizeof(struct wire_result) == 16, "wire_result is 16 bytes");

/* Broker, to the one that takes over: an fd, and the number it had. The first one is the journal.
 */
struct wire_fd_transfer {
    struct wire_head head;
    int32_t number;
    uint32_t reserved;
};
static_assert(sizeof(struct wire_fd_transfer) == 16, "wire_fd_transfer is 16 bytes");

/*
 * Whether these bytes are a message of the protocol: magic, version, type, size, inner lengths and
 * the presence of an fd. Pure; safe on any bytes, which need not be aligned. Returns its type, or
 * -1 with errno EPROTO.
 */
int wire_check(const void *bytes, size_t len_bytes, bool has_fd);

/* The name of a type for messages, "?" for an unknown one. */
const char *wire_type_name(int type);

#endif
