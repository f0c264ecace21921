/* format.h - does a text have the form that its schema names: e-mail address, URL, UUID, date, slug, phone number,
 * name, text that says something. */
#ifndef FORMAT_H
#define FORMAT_H

#include "contract.h"

/* What is wrong with the text, as a sentence for the client ("must be an e-mail address"); NULL when nothing is. The
 * text is UTF-8 without NUL. FORMAT_NONE and FORMAT_DATE_TIME (text_to_time) fit everything. */
const char *format_error(enum schema_format format, const char *text, size_t len);

#endif
