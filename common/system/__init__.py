"""The ground: errors, files, progress, signals, hardware, launching. Imports nothing else of the kit."""
