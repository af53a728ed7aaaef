"""Errors that a user can mend: one message, no traceback."""


class SettingError(Exception):
    """A setting, or what it points to, is wrong; the message says what would work."""


class DataUnavailableError(SettingError):
    """Data that can be neither found nor downloaded."""
