//! Interfaces to the outside world, and their implementation with tokio.
//!
//! All other crates get time, randomness, disk and tasks through the traits and owners defined here. So a whole
//! cluster can run in one process on a virtual clock, a seeded generator and a disk that can lose power. Only this
//! crate calls `tokio::spawn`, `tokio::time`, the system clock, the operating system's random generator and
//! `std::fs`; clippy refuses these calls elsewhere.
//!
//! This crate is not a place for helpers, not a second tokio, and not an abstraction over sockets. Other crates use
//! tokio's sockets directly until a simulated network needs an interface; only the files of unix sockets are managed
//! here. Messages between servers have their own transport traits.

#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, reason = "this crate is where the disallowed methods are wrapped")]

pub mod backoff;
pub mod budget;
pub mod clock;
pub mod counted;
pub mod disk;
pub mod drain;
pub mod engine;
pub mod entropy;
pub mod executor;
pub mod limits;
pub mod listener;
pub mod reconcile;
pub mod scope;
pub mod socket_file;
pub mod source;
mod trust;
pub mod turns;
mod world;

pub use backoff::Backoff;
pub use budget::{Budget, Door, Full, Guest, Held};
pub use clock::{Clock, Elapsed, Instant, ManualClock, SetClock, TokioClock, timeout};
pub use counted::Counted;
pub use disk::{Disk, DiskError, DiskFile, DiskLock, Fault, HostDisk, MemoryDisk, Modes};
pub use drain::{DrainSignal, DrainWatch, drain};
pub use entropy::{Entropy, OsEntropy, SeededEntropy};
pub use executor::Executor;
pub use listener::listen;
pub use reconcile::{Reconciler, ReconcilerSpec};
pub use scope::{Scope, ShutdownReport, Task, TaskEnd};
pub use socket_file::{Access, SocketFile};
pub use source::Source;
pub use trust::system_authorities;
pub use turns::{Line, Turns};
pub use world::World;

/// A boxed future that is `Send`; the object-safe traits here return it.
pub use futures::future::BoxFuture;
