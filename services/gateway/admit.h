/* admit.h - may this request be made at all? Everything that is decided from the head alone.
 *
 * In this order (contract K.1): the path, the classes that count by address, the credential, what auth says to it, the
 * caller's windows, its scopes, then what the headers say about the body. Nothing is read from the body before.
 */
#ifndef ADMIT_H
#define ADMIT_H

#include "request.h"

/* The head is complete. Leaves the request in REQUEST_ASKING, REQUEST_BODY or REQUEST_ANSWERED; from the first it is
 * woken (http_wake) in one of the other two. */
void admit_begin(struct request *self);

/* Splits what was sent after the method; tells the path's family. */
void admit_uri(struct request *self);

bool admit_has_body(const struct request *self); /* by its headers */

/* For answers that count nowhere: their headers show the address's window as it is. */
void admit_show_window(struct request *self);

/* The client's address, by SX_TRUSTED_PROXIES; fills address and address_key. */
void admit_address(struct request *self);

/* A fresh id, or the one the client sent when it is well-formed. */
void admit_request_id(struct request *self);

#endif
