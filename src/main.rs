//! The `deployctl` program: everything it does is in the library's `cli` room.

fn main() -> std::process::ExitCode {
    deployctl::cli::main()
}
