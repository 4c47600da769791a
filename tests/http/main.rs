//! The `http` adapter, from service file to provider and back.

mod answers;
mod forms;
mod gate;
mod objects;
mod provider;
mod requests;
mod rules;
