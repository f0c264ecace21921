/* Whatever header and name arrive: they are refused, or understood as what they say. */
#include <assert.h>
#include <string.h>

#include "wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire wire;
    struct str service, operation;
    uint8_t again[WIRE_SIZE];

    if (wire_decode(&wire, data, size) == 0) {
        assert(size == WIRE_SIZE && wire.type >= WIRE_READY && wire.type <= WIRE_ACK);
        wire_encode(&wire, again);
        assert(memcmp(again, data, WIRE_SIZE) == 0);
    }
    if (wire_split((const char *)data, size, &service, &operation) == 0) {
        assert(service.base == (const char *)data && service.len > 0 && operation.len > 0);
        assert(operation.base == service.base + service.len + 1 && service.len + 1 + operation.len == size);
        assert(data[service.len] == '.');
    }
    return 0;
}
