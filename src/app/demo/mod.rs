//! `sceau demo`.

mod client;
mod evidence;
mod report;
mod store;
mod tree;
