/* otp_sender.h - who carries a code to a phone. One interface, so that a provider of text messages is one more entry in
 * otp_sender.c. */
#ifndef OTP_SENDER_H
#define OTP_SENDER_H

#include "call.h"

struct otp_sender {
    const char *name;

    /* Runs in a worker with no transaction open, within the call's deadline. -1 after call_fail: the code did not
     * leave. */
    int (*send)(struct call *call, const char *phone, const char *code, int64_t expires_us);
};

/* The one that is configured; NULL when there is none. */
const struct otp_sender *otp_sender_find(void);

#endif
