/* bounds.h - every limit and every wait of the platform that is not a setting, with its reason. Not limits.h: gcc would
 * find it in place of the system's.
 *
 * Settings that an operator may change are in settings.h. A new buffer, queue, list, message or wait gets its
 * bound here.
 */
#ifndef BOUNDS_H
#define BOUNDS_H

/* HTTP, as the gateway takes it from the network. */
#define URL_SIZE_MAX          8192     /* path and query; longer is 414 */
#define HEADER_MEMORY_MAX     16384    /* of a connection, for request line and headers; cleared for each request */
#define BODY_SIZE_MAX_DEFAULT 1048576  /* contract K.1: 413 above, unless x-body-limit says otherwise */
#define BODY_IN_LOOP_MAX      65536    /* larger bodies are validated in the worker (protocols 11) */
#define BODIES_SIZE_MAX       67108864 /* request bodies one gateway holds at once; more get 503 */
#define SWALLOW_MAX           16777216 /* bytes of a refused body read so that its sender hears the answer */
#define BODY_WAIT_MS          30000    /* a body that takes longer must come at */
#define BODY_BYTES_PER_MS_MIN 1        /* this pace at least */
#define DRAIN_WAIT_MS         15000    /* SIGTERM: what is in flight ends within the slowest timeout class */
#define CONNECTION_IDLE_S     20       /* slow and silent clients are closed after this */
#define CONNECTIONS_MAX       4096     /* per gateway process */
#define REQUEST_ID_MAX        64       /* contract K.1 */
#define IDEMPOTENCY_KEY_MAX   255      /* contract K.1 */
#define QUERY_PARAMETERS_MAX  64       /* in one URL */
#define PATH_SEGMENTS_MAX     12

/* JSON and msgpack from outside. */
#define JSON_DEPTH_MAX        32     /* msgpack-c's fixed stack is 32 deep as well */
#define JSON_KEYS_MAX         256    /* fields of one object; keeps the duplicate check cheap */
#define JSON_NODES_MAX        100000 /* values in one body */
#define NUMBER_TEXT_MAX       64     /* characters of one JSON number */
#define VALIDATION_ERRORS_MAX 20     /* a longer list helps nobody */

/* The internal RPC. */
#define WIRE_MESSAGE_MAX         (16 * 1024 * 1024 + 65536)
#define REPLY_SIZE_MAX           (16 * 1024 * 1024)
#define STREAM_CHUNK_MAX         262144 /* protocols 11 */
#define UPLOAD_PIECE_MAX         262145 /* the same and a newline: how a line that is too long begins */
#define UPLOAD_ID_MAX            64     /* characters of the id a service gives an upload */
#define STREAM_NEXT_MAX          1023   /* bytes of X-Stream-Next: where a stream goes on */
#define ACTORS_MAX               16     /* of one service */
#define OPERATION_NAME_MAX       96
#define SERVICE_NAME_MAX         32
#define GATEWAYS_MAX             64   /* a worker keeps one socket to each */
#define WORKERS_PER_CORE         8    /* when SX_WORKERS leaves it to the machine, */
#define WORKERS_OF_MACHINE_MAX   32   /* which makes no more: each has a connection to PostgreSQL */
#define WORKER_THREADS_MAX       64   /* also the number of counter stripes (protocols 12) */
#define QUEUE_PER_SERVICE_MAX    1024 /* requests waiting for a worker; more get 503 */
#define READY_INTERVAL_MS        1000 /* protocols 2 */
#define NESTED_BUDGET_MARGIN_MS  50   /* protocols 4 */
#define HEARTBEAT_INTERVAL_MS    500  /* ZMTP heartbeats: a silent peer is gone after the timeout */
#define HEARTBEAT_TIMEOUT_MS     1500
#define ROUTER_MESSAGES_PER_TURN 256     /* protocols 11: the loop serves HTTP in between */
#define NO_WORKER_MS             2000    /* a pool without workers for longer answers 503 at once */
#define WORKER_SILENT_MS         3500    /* an idle worker without READY for this long gets nothing more */
#define BATCH_MAX                64      /* requests that go as one (x-batch), */
#define BATCH_SIZE_MAX           1048576 /* and bytes of them; one alone may be larger */
#define BATCH_REPLY_MAX          131072  /* of each: all together fit into a message */
#define REQUEST_ATTEMPTS_MAX     2       /* workers that one request is sent to */
#define REQUEST_BUDGET_MAX_MS    60000   /* what a caller may ask the hub to wait */
#define PEERS_MAX                8192    /* sockets that one gateway knows by name or by what they asked */
#define PEER_NESTED_MAX          64      /* nested requests of one peer that skip the queue */
#define SERVICES_MAX             32      /* pools of workers that the contract may name */

/* Identity (protocols 5). */
#define LEASE_RENEW_MS     250
#define INVALIDATE_WAIT_MS 1000 /* longest lease plus the margin for a beat */
#define INVALIDATION_RING  4096
#define IDENTITY_CACHE_MAX 16384

/* PostgreSQL. */
#define STATEMENT_WAIT_MS     2000  /* a statement that hangs costs its connection after this */
#define TRANSACTION_TRIES_MAX 3     /* runs of a handler on 40001 and 40P01 */
#define CONNECT_WAIT_MS       1500  /* handshake and preparing, while a request waits for it */
#define CONNECT_WAIT_MAX_MS   12000 /* the next try takes twice as long, up to this (db.h) */
#define RECONNECT_WAIT_MS     100

/* Lists (contract 0.3 and K.1). */
#define PAGE_LIMIT_DEFAULT 50
#define PAGE_LIMIT_MAX     250
#define TOTAL_EXACT_MAX    10000 /* counted exactly up to here, then total_capped */

#endif
