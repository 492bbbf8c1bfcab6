//! The demo workload: an HTTP server whose page shows the environment variables that Flux gave it, and which ends as a
//! well-behaved service does, so that a request lost during a migration is the migration's doing.
//!
//! | path | answer |
//! |---|---|
//! | `/` | a page with version, host name and the variables beginning with `DEMO_` |
//! | `/env.json` | the same as JSON |
//! | `/version` | `DEMO_VERSION` |
//! | `/healthz` | 200 while the process lives |
//! | `/readyz` | 200, and 503 from SIGTERM on |
//! | `/stream` | a numbered line every 100 ms until the client leaves or the server ends |
//! | `/metrics` | counters in Prometheus' text format |
//!
//! Every answer names the version in a `ferry-version` header. On the same port it speaks gRPC (HTTP/2 with prior knowledge):
//! `grpc.health.v1.Health` of `liveness`, which is `SERVING` to the end, and of `readiness` and the server itself (``), which
//! are not from SIGTERM on.
//!
//! On SIGTERM it tells its readiness first and goes on serving for a while, because endpoints and proxies learn of it late;
//! see [`serve()`].

pub mod app;
pub mod config;
mod grpc;
pub mod log;
pub mod page;
pub mod serve;

pub use app::App;
pub use config::{Config, ConfigError};
pub use page::Facts;
pub use serve::serve;
