"""What the transport says of a failure, in few words and without addresses, which may be signed."""

from __future__ import annotations

import re

_STATUS = re.compile(r"status code: (\d{3})([A-Za-z ]*)")
_CODE = re.compile(r"<Code>(\w{1,40})</Code>")
_SYSTEM = re.compile(r'message: "([\w ]{1,60})"')

_WORDS = {
    "dns error": "no server has that name",
    "TimedOut": "nothing arrived for too long",
    "IncompleteMessage": "the connection broke off",
    "IncompleteBody": "the connection broke off",
    "CertificateUnknown": "the server's certificate is not trusted",
    "UnknownIssuer": "the server's certificate is not trusted",
    "InvalidCertificate": "the server's certificate is not valid",
}


def cause(error: Exception) -> str:
    """The server's status and its own code for it, or what the system says, or the first line."""
    text = str(error)
    status, code, system = _STATUS.search(text), _CODE.search(text), _SYSTEM.search(text)
    if status or code:
        words = f"{status[1]}{status[2].rstrip()} " if status else ""
        return f"the server answers {words}{f'`{code[1]}`' if code else ''}".rstrip()
    if system:
        return system[1].lower()
    for word, means in _WORDS.items():
        if word in text:
            return means
    first = text.partition("\n")[0]
    return first[:200] if first and "://" not in first and "url" not in first.lower() else "the request failed"


def lacks_credentials(error: Exception) -> bool:
    """Whether it failed on asking a cloud's machine for credentials, which is what is done where nobody gave any."""
    return "/computeMetadata/" in str(error) or "169.254.169.254" in str(error)
