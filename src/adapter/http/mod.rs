//! Any JSON, form or multipart API over HTTP, described by one service file (`docs/http.md`).

pub mod json;
