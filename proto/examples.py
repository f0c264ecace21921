"""What the platform answered once, to stand in the document (examples/answers.json; `make examples` takes it from what the tests
exchanged). tests/conformance holds it against the schemas, and says what is missing.

The answers to failures that no test can cause are made here of the code's own message, as the gateway makes them.
"""

import json
import os
from decimal import Decimal


class Examples:
    def __init__(self, root, codes):
        self.codes, kept = codes, {}
        place = os.path.join(root, "proto", "examples", "answers.json")
        if os.path.exists(place):
            with open(place, encoding="utf-8") as file:
                kept = json.load(file, parse_float=Decimal)
        self.operations, self.errors = kept.get("operations", {}), kept.get("errors", {})
        self.topics = kept.get("topics", [])

    def of(self, operation):
        return self.operations.get(f"{operation.method} {operation.path}", {})

    def request(self, operation):
        return self.of(operation).get("request")

    def answer(self, operation, status):
        return self.of(operation).get("answers", {}).get(status)

    def error(self, code, schema):
        """schema: Error, DeveloperError or OAuthError."""
        seen = self.errors.get(schema, {}).get(code)
        if seen:
            return seen
        status, message = self.codes[code]["status"], self.codes[code]["message"]
        if schema == "DeveloperError":
            return {"status": status, "code": code.upper(), "message": message}
        plain = {"message": message, "code": code, "status": status}
        if schema == "Error":
            return plain
        word = {429: "temporarily_unavailable", 503: "temporarily_unavailable"}.get(status, "invalid_request" if status < 500 else "server_error")
        return {"error": word, "error_description": message, **plain}
