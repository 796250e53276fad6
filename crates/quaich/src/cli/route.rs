//! `quaich route`: what would answer a request, and why not the others.
