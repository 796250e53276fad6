//! Processes, not HTTP: spawns, watches and replaces the workers of an app.
