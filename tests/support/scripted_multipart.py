"""Reads multipart/form-data, the form in which files are uploaded."""

from __future__ import annotations

import re


def read_form(content_type: str, body: bytes) -> dict[str, tuple[str, bytes]]:
    """File name (empty where there is none) and bytes, by the name of the field.

    >>> read_form("multipart/form-data; boundary=b", b'--b\\r\\nContent-Disposition: form-data; name="a"\\r\\n\\r\\n1\\r\\n--b--\\r\\n')
    {'a': ('', b'1')}
    """
    boundary = re.search(r'boundary="?([^";]+)', content_type)
    if boundary is None:
        return {}
    form = {}
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary[1].encode())[1:-1]:
        head, _, data = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        text = head.decode("utf-8", "replace")
        name = re.search(r'\bname="([^"]*)"', text)
        file_name = re.search(r'filename="([^"]*)"', text)
        if name is not None:
            form[name[1]] = (file_name[1] if file_name else "", data)
    return form
