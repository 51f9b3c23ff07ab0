"""Sections of the settings as flat fields of an HTML form, and back. Pure.

`show` makes the fields of a section's value, `read` a draft of a value from fields that a browser sent:
`read(show(value)).value` means the same as `value`. What is wrong with a value is not found here but by
`sync.settings`, whose problems `base.at_fields` puts beside the fields.
"""
