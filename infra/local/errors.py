"""What goes wrong in the local target, worded for the person who ran `up`."""


class LocalError(Exception):
    """An operation failed; the message names the cause and, where there is one, the fix."""


class NotReadyError(LocalError):
    """The resource exists and is being worked on, but is not (yet) as it should be."""
