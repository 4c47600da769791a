//! Composition.

pub mod check;
#[cfg(feature = "demo")]
pub mod demo;
pub mod init;

/// Runs the command line; the exit code is documented in `docs/operators-guide.md`.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
