//! The binary: hands the command line to the role it names and ends with its exit code.

fn main() -> std::process::ExitCode {
    appctl::client::main()
}
