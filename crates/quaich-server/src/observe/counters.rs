//! Counted things of one front thread: written by the thread alone, read by `status`.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counters of one front thread.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: Counter,)*
        }

        impl Counters {
            /// Name and value of each.
            pub fn values(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name.value()),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Connections accepted.
    accepted,
    /// Connections open now.
    connections,
    /// Connections closed at once because of a limit.
    refused,
    /// Connections closed because the PROXY protocol header was missing, malformed or from a peer that
    /// is not trusted.
    proxy_refused,
    /// Connections of TCP listeners that were given to a server.
    tunnels,
    /// Requests begun.
    requests,
    /// Responses with a status of 1xx to 3xx.
    succeeded,
    /// Responses of 4xx.
    client_errors,
    /// Responses of 5xx.
    server_errors,
    /// Requests refused as malformed or over a limit.
    rejected,
    /// Header fields dropped because of an ambiguous name.
    dropped_fields,
    /// Fields that `request_headers` or `response_headers` could not make, since what placeholders stood
    /// for was no value.
    fields_refused,
    /// Preflights of CORS that were answered.
    cors_preflights,
    /// Those of them that asked for more than `cors` grants.
    cors_refused,
    /// Clients that left before their answer was complete.
    client_gone,
    /// Answers cut because their source broke off.
    truncated,
    /// Requests that took too long to arrive.
    request_timeouts,
    /// Clients that took their answer too slowly.
    write_timeouts,
    /// Connections made to upstreams.
    upstream_connects,
    /// Requests sent over a kept upstream connection.
    upstream_reuses,
    /// Requests sent again over another connection.
    upstream_retries,
    /// Requests that were not sent again because of `retry_budget`.
    upstream_retries_refused,
    /// Requests that waited because every server had `max_conns`.
    upstream_queued,
    /// Requests that found that queue full.
    upstream_queue_full,
    /// Requests that waited in it for too long.
    upstream_queue_timeouts,
    /// Names of servers looked up.
    dns_lookups,
    /// Look-ups of names that found nothing.
    dns_failures,
    /// Names that were found to have other addresses or records than before.
    dns_changes,
    /// Announcements of instances that were believed.
    subscriptions,
    /// Those that were not, or were malformed.
    subscriptions_refused,
    /// Requests that went to the server that their client belongs to.
    sticky_hits,
    /// Requests that went to another, since that one could not be used.
    sticky_redispatches,
    /// Request bodies that were read whole before a server was asked, for its protocol needs their length.
    bodies_held,
    /// Requests that a `rewrite` gave another path.
    rewrites,
    /// Requests that `canonical_host` or `slash` redirected.
    canonical_redirects,
    /// Answers in which a path got the prefix of its mount point.
    mount_rewrites,
    /// Requests that `auth` let in.
    auth_granted,
    /// Those that it refused.
    auth_refused,
    /// Those that it refused because whoever had to say could not be asked.
    auth_failed,
    /// Passwords verified, which is slow on purpose.
    passwords_verified,
    /// Passwords that were found right because they were a short while ago.
    passwords_remembered,
    /// HTTP/2 connections closed because of a flood of frames.
    h2_floods,
    /// TLS handshakes with clients that succeeded.
    tls_handshakes,
    /// Those of them that resumed a session.
    tls_resumed,
    /// TLS handshakes with clients that failed.
    tls_handshake_failures,
    /// Error answers with a page from a file.
    error_pages,
    /// Errors of apps and upstreams whose answer was replaced by a page.
    errors_replaced,
    /// Requests refused because the site is closed for maintenance.
    maintenance,
    /// Panics caught at the edge of a connection.
    panics,
}

/// A counter with one writer.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn add(&self) {
        self.add_many(1);
    }

    /// `count` more. Only the owning thread may call it: it is a plain load and store.
    pub fn add_many(&self, count: u64) {
        self.0
            .store(self.value().wrapping_add(count), Ordering::Relaxed);
    }

    /// One less.
    pub fn subtract(&self) {
        self.0
            .store(self.value().wrapping_sub(1), Ordering::Relaxed);
    }

    /// The value now.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
