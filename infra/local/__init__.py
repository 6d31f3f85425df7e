"""The `local` target's resources: real processes on this machine, kept by a supervisor."""
