"""What the OAuth endpoints answer: tokens, RFC 6749's errors, error pages (contract K.2)."""


def tokens_of(answer):
    body = answer.json()
    assert answer.status_code == 200 and body["status"] == 200, answer
    data = body["data"]
    for name in ("access_token", "refresh_token", "token_type", "expires_in", "scope"):
        assert body[name] == data[name]
    assert (data["token_type"], data["expires_in"]) == ("Bearer", 86400)
    assert answer.headers["Cache-Control"] == "no-store"
    return data


def oauth_error(answer, status, error, code=None):
    """RFC 6749's error and the contract's, in one body."""
    body = answer.json()
    assert (answer.status_code, body["error"], body["code"], body["status"]) == (status, error, code or error, status)
    assert body["error_description"] and body["message"]
    return body


def error_page(answer, status, code):
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "text/html; charset=utf-8"), answer
    assert code in answer.text and "Location" not in answer.headers
    return answer.text
