"""Files that the gateway serves from memory: the document, pages and what they need, linked into the program as they are.

Each is there twice, plain and packed with gzip, once and for all at build time, and each form has a tag of its own
(RFC 9110, 8.8.3.3). The assembler takes the bytes in (.incbin): megabytes of C strings would take the compiler minutes.
"""

import gzip
import hashlib
import os

from tables import BANNER, c_text, emit_array

REVALIDATE = "public, no-cache"                        # kept, and asked for again each time: 304 unless it has changed
FOREVER = "public, max-age=31536000, immutable"        # for paths that change with their content
PAGE = "text/html; charset=utf-8"


class File:
    """One path and what it answers. policy: the Content-Security-Policy of a page; None: it is no page."""

    def __init__(self, path, content_type, content, policy=None, caching=REVALIDATE):
        self.path, self.content_type, self.policy, self.caching = path, content_type, policy, caching
        self.plain = content.encode() if isinstance(content, str) else content
        packed = gzip.compress(self.plain, 9, mtime=0)
        self.packed = packed if len(packed) < len(self.plain) * 0.9 else None


def form(content, symbol):
    """The initialiser of a struct file_form."""
    if content is None:
        return "{0}"
    return f'{{{symbol}, {len(content)}, "\\"{hashlib.sha256(content).hexdigest()[:32]}\\""}}'


HEADER = BANNER + """#ifndef FILES_H
#define FILES_H

#include <stddef.h>

struct file_form {
    const char *bytes; /* NULL: there is no such form */
    size_t size;
    const char *tag; /* ETag, with its quotes */
};

struct file {
    const char *path, *content_type, *caching;
    const char *policy; /* Content-Security-Policy of a page; NULL: it is none */
    struct file_form plain, packed;
};

extern const struct file files[]; /* in the order of their paths */
extern const unsigned file_count;

#endif
"""


def emit_files(files, target):
    """files.h, files.c, and the bytes under files/."""
    files = sorted(files, key=lambda file: file.path.encode())
    made, symbols, rows = {"files.h": HEADER}, [], []
    for number, file in enumerate(files):
        for content, symbol in ((file.plain, f"file_{number}"), (file.packed, f"file_{number}_gz")):
            if content is None:
                continue
            made[f"files/{symbol}"] = content
            place = c_text(os.path.abspath(os.path.join(target, "files", symbol)))[1:-1]
            symbols.append(f'__asm__(".pushsection .rodata\\n{symbol}: .incbin \\"{place}\\"\\n.popsection");\n'
                           f"extern const char {symbol}[];")
        rows.append(f"    {{{c_text(file.path)}, {c_text(file.content_type)}, {c_text(file.caching)}, {c_text(file.policy)},\n"
                    f"     {form(file.plain, f'file_{number}')}, {form(file.packed, f'file_{number}_gz')}}},")
    made["files.c"] = (f'{BANNER}#include "files.h"\n\n' + "\n".join(symbols) + "\n\n"
                       + emit_array("const struct file files[]", rows) + f"const unsigned file_count = {len(rows)};\n")
    return made
