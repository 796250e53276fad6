//! Development only: starts quaich, origins and Python apps as real processes on real sockets.
