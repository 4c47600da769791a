//! Composition.

pub mod check;
pub mod init;

/// Runs the command line; the exit code is documented in `docs/operators-guide.md`.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
