/* out.h - writes one value, as JSON or as msgpack, chosen by whoever asked (decision 5).
 *
 * Containers are opened with their number of members and close by themselves when the last one is written, so there
 * is nothing to forget at the end. Strings must be UTF-8. Errors (more than the buffer may hold) are kept and found
 * with out_complete.
 *
 *     out_map(out, 2);
 *         out_key(out, "order_id");   out_int(out, 7);
 *         out_key(out, "items");      out_list(out, 0);
 */
#ifndef OUT_H
#define OUT_H

#include "base.h"
#include "buf.h"

enum out_encoding { OUT_JSON, OUT_MSGPACK };

#define OUT_DEPTH_MAX 40

struct out {
    struct buf *buf;
    enum out_encoding encoding;
    unsigned depth;
    struct {
        unsigned left; /* members still to come */
        bool map;
        bool first;
    } open[OUT_DEPTH_MAX];
};

void out_init(struct out *self, struct buf *target, enum out_encoding encoding);
void out_map(struct out *self, unsigned count);
void out_list(struct out *self, unsigned count);
void out_key(struct out *self, const char *name);
void out_key_str(struct out *self, struct str name);
void out_str(struct out *self, struct str text);                         /* absent is null */
void out_text(struct out *self, const char *text);                       /* NULL is null */
void out_key_text(struct out *self, const char *name, const char *text); /* both in one: of maps of many texts */
void out_key_int(struct out *self, const char *name, int64_t value);
void out_key_id(struct out *self, const char *name, int64_t id); /* 0 is null */
void out_int(struct out *self, int64_t value);
void out_bool(struct out *self, bool value);
void out_null(struct out *self);
void out_time(struct out *self, int64_t time_us);
void out_money(struct out *self, int64_t amount, unsigned decimals);
void out_binary(struct out *self, const void *data, size_t size); /* JSON: base64 */
void out_json(struct out *self, struct str json);     /* trusted JSON text (from PostgreSQL); absent is null */
void out_msgpack(struct out *self, struct str value); /* one trusted msgpack value; absent is null */

/* Behind each value of a sequence (x-stream): JSON values stand on a line each, msgpack's follow one another as they
 * are. */
void out_line_end(struct out *self);

/* All containers closed, nothing failed. */
bool out_complete(const struct out *self);

/* How much of the text stands in a JSON string as it is, before the first character that is escaped. */
size_t out_plain_length(const char *text, size_t len);

#endif
