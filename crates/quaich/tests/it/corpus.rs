//! The corpus of HTTP/1 inputs that have no single meaning: each is refused, whole and byte by
//! byte, and nothing of it reaches an upstream.
