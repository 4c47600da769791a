//! The binary as an operator uses it.

mod commands;
mod interrupted;
mod keys;
mod leak;
mod objects;
mod sandbox;
