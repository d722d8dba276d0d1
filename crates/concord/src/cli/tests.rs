//! Whole command lines against a scripted server on a real socket.

mod acl;
mod catalog;
mod config;
mod flags;
mod general;
mod intention;
mod mesh;
mod services;
mod validate;

use concord_client::testing::Scripted;

use super::testing::{Bench, Ran, file};

/// Checks that the command sent exactly these requests, printed exactly this and succeeded.
#[track_caller]
fn check(ran: &Ran, asked: &[&str], out: &str) {
    assert_eq!(ran.asked, asked, "{ran:?}");
    assert_eq!(ran.out, out, "{ran:?}");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
}

/// Checks that the command sent nothing, printed nothing and gave the reason.
#[track_caller]
fn refuse(words: &[&str], code: u8, message: &str) {
    let ran = Bench::answering("null").run(words);
    assert_eq!((ran.asked.len(), ran.out.as_str(), ran.code), (0, "", code), "{ran:?}");
    assert!(ran.err.contains(message), "{}", ran.err);
}

fn not_found() -> Scripted {
    Scripted::status(404, "not there")
}
