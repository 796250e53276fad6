//! What the supervisor and the front say to each other: message types and who sends which.
//!
//! Called by the supervisor (crate `quaich`) and by `front`. Request bytes never come this way.
//! Frames and descriptors travel as [`transport`] says. The front is the less trusted end: the
//! supervisor takes no descriptor from it.

use quaich_config::model::Config;
use serde::{Deserialize, Serialize};

pub mod closed;
pub mod loaded_text;
pub mod material;
pub mod order;
pub mod transport;

pub use closed::Closed;
pub use loaded_text::LoadedText;
pub use material::{Challenge, ClientTrust, Identity, Material, Secret, UpstreamMaterial};
pub use order::{Mode, NamedOrder, Order};
pub use transport::{Link, LinkReader, LinkWriter};

/// Supervisor to front. Every index counts into the descriptors that came with the message.
#[derive(Debug, Serialize, Deserialize)]
pub enum ToFront {
    /// First message, once: everything the front works with.
    Start(Box<Setup>),
    /// A worker has attached to the app's region and may be given requests.
    ///
    /// Descriptors: one doorbell (eventfd) per worker thread, then one SOCK_SEQPACKET socket per
    /// front thread, in thread order.
    WorkerUp {
        /// Index into `Config::apps`.
        app: usize,
        /// Unique in the app over its whole life, never used again.
        worker: u32,
        /// Worker threads, that is, doorbells.
        threads: usize,
    },
    /// A worker is gone (reaped). What it was running has failed.
    WorkerDown {
        /// Index into `Config::apps`.
        app: usize,
        /// As in `WorkerUp`.
        worker: u32,
    },
    /// Accept nothing new, finish what runs, answer `Drained`, exit.
    Drain {
        /// After this the front ends whatever still runs; 0 = at once.
        timeout_ms: u64,
    },
    /// The log files were moved away: write to these from now on.
    ReopenLogs {
        /// Access log, when it is a file.
        access_log: Option<usize>,
        /// Own messages, when they go to a file.
        log: Option<usize>,
    },
    /// Other certificates: new connections get these, open ones stay as they are.
    Material(Box<Material>),
    /// Other content of `Setup::texts`, all of them.
    Texts(Vec<LoadedText>),
    /// Which sites are closed for maintenance now. Answer with `FromFront::Done` of the same `id`.
    Closed {
        /// Copied to the answer.
        id: u64,
        /// All of it.
        closed: Closed,
    },
    /// All that certificate authorities may ask for now, in place of what was said before. Answer
    /// with `FromFront::Challenges` of the same `id` once it is in effect.
    Challenges {
        /// Copied to the answer.
        id: u64,
        /// All of them.
        challenges: Vec<Challenge>,
    },
    /// Answer with `FromFront::Status` of the same `id`.
    Status {
        /// Copied to the answer.
        id: u64,
    },
    /// What the operator says of a server. Answer with `FromFront::Ordered` of the same `id`.
    Order {
        /// Copied to the answer.
        id: u64,
        /// `UPSTREAM/SERVER`, or the name of the server if no other has it.
        server: String,
        /// What is to be.
        order: Order,
    },
}

/// Front to supervisor. Carries no descriptors.
#[derive(Debug, Serialize, Deserialize)]
pub enum FromFront {
    /// `Start` is done, every listener accepts.
    Ready,
    /// No connection is left after `Drain`; the front exits.
    Drained,
    /// A request ran longer than the app's `timeout`: the worker is to be dumped and killed.
    Stuck {
        /// Index into `Config::apps`.
        app: usize,
        /// As in `WorkerUp`.
        worker: u32,
        /// Method, path and elapsed time, for the log.
        detail: String,
    },
    /// A worker wrote what no sane worker writes: it is to be killed.
    Lied {
        /// Index into `Config::apps`.
        app: usize,
        /// As in `WorkerUp`.
        worker: u32,
        /// What was wrong, for the log.
        why: String,
    },
    /// `ToFront::Challenges` is in effect.
    Challenges {
        /// Of the order.
        id: u64,
    },
    /// What was asked with this `id` is in effect.
    Done {
        /// Of the order.
        id: u64,
        /// For who has asked.
        body: serde_json::Value,
    },
    /// Answer to `ToFront::Status`.
    Status {
        /// Of the question.
        id: u64,
        /// One object. `quaich status` knows `connections`, `requests` (totals as numbers) and
        /// `apps` (a list in `Config::apps` order with `queued`, `running`, `idle`, `served`,
        /// `lost` and `workers: {ID: requests}`); what else is there is passed on.
        body: serde_json::Value,
    },
    /// Answer to `ToFront::Order`.
    Ordered {
        /// Of the order.
        id: u64,
        /// The order as it was carried out, for the next front; `None` = it was not.
        done: Option<NamedOrder>,
        /// For who has asked.
        body: serde_json::Value,
    },
}

/// What the front starts with. Indices count into the descriptors of the `Start` message.
#[derive(Debug, Serialize, Deserialize)]
pub struct Setup {
    /// The whole configuration; its user, group and paths have been dealt with.
    pub config: Config,
    /// Certificates and keys.
    pub material: Material,
    /// Content of the files that `Config::texts` names; those that could not be read are missing.
    pub texts: Vec<LoadedText>,
    /// For each of `Config::server.listeners`: one socket per front thread, or a single one that
    /// all threads share. Bound, listening, non-blocking.
    pub listeners: Vec<Vec<usize>>,
    /// What the sticky cookies of each of `Config::upstreams` are signed with; empty where none are.
    pub sticky_secrets: Vec<Secret>,
    /// One directory (`O_PATH`) for each route that has `files`: sites in order, their routes in
    /// order.
    pub roots: Vec<usize>,
    /// The same for each route that has `sendfile`.
    pub protected: Vec<usize>,
    /// The access log, when its output is a file.
    pub access_log: Option<usize>,
    /// Own messages, when their output is a file.
    pub log: Option<usize>,
    /// In the order of `Config::apps`.
    pub apps: Vec<AppFds>,
    /// For `Config::subscribe`.
    pub subscribe: Option<SubscribeFds>,
    /// What the operator has said of servers.
    pub orders: Vec<NamedOrder>,
    /// Which sites are closed for maintenance.
    pub closed: Closed,
}

/// What the front has of `[subscribe]`, as indices.
#[derive(Debug, Serialize, Deserialize)]
pub struct SubscribeFds {
    /// Bound datagram sockets, in the order of `Subscribe::listen`.
    pub sockets: Vec<usize>,
    /// The folder of public keys.
    pub keys: Option<usize>,
}

/// The front's ends of one app's channel, as indices.
#[derive(Debug, Serialize, Deserialize)]
pub struct AppFds {
    /// The shared-memory region (memfd), made and sized by the supervisor for this front.
    pub region: usize,
    /// The eventfd that wakes each front thread, in thread order.
    pub front_eventfds: Vec<usize>,
}
