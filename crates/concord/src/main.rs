//! The program: agent, built-in proxy, demo and command line.
//!
//! Passes the process's arguments and environment to the command line, and exits with its exit code.

#![deny(unsafe_code)]

mod cli;
mod run;
mod sys;

use std::process::ExitCode;

fn main() -> ExitCode {
    sys::keep_large_pieces_apart();
    let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let program = cli::Program::of(&words.next().unwrap_or_default());
    let args: Vec<String> = words.collect();
    ExitCode::from(cli::run(program, &args, &cli::Env::of_process(), &mut cli::Io::of_process()))
}
