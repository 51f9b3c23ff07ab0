"""What a form has sent."""

from __future__ import annotations

from fastapi import Request


async def fields_of(request: Request) -> dict[str, str]:
    """The fields of a form, the last of each name; no files."""
    form = await request.form()
    return {name: value for name, value in form.items() if isinstance(value, str)}
