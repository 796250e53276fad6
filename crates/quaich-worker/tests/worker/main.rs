//! The worker library inside real Python processes (`$QUAICH_TEST_PYTHON`, else `python3`).

mod boot;
mod front;
mod wsgi;
