//! Sceau: a client-side encryption gateway.
//!
//! The modules are ranked; imports only go downward (`tests/layering.rs` keeps it so):
//!
//! ```text
//! 8 app, main      composition: commands, the demo, services built from configuration
//! 7 config         the operator's intent
//! 6 net            listeners, TLS, upstream connections
//! 5 proxy          the exchange; errors become responses here
//! 4 adapter        protocol knowledge, one folder a protocol
//! 3 body           bytes in motion
//! 2 keyring policy state
//! 1 seal           the format
//! 0 secret error telemetry
//! ```

pub mod adapter;
pub mod app;
pub mod body;
pub mod config;
pub mod error;
pub mod keyring;
pub mod net;
pub mod policy;
pub mod proxy;
pub mod seal;
pub mod secret;
pub mod state;
pub mod telemetry;
