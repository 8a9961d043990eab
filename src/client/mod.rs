//! client
/// Runs the role the command line names.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}
