//! `keygen`: generates a gossip encryption key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use concord_runtime::{Entropy as _, OsEntropy};

use super::Io;
use super::command::{Command, Invocation, Run};
use super::failure::{Exit, Outcome};

/// Bytes of a key.
const KEY_BYTES: usize = 32;

pub(crate) static KEYGEN: Command = Command {
    name: "keygen",
    synopsis: "Makes a key for membership traffic",
    usage: &[""],
    about: "Prints a new key of 32 bytes in base64, as encrypt in the configuration takes it.",
    flags: &[],
    http: false,
    usage_code: 1,
    run: Run::Here(run),
};

fn run(call: &Invocation<'_>, io: &mut Io) -> Outcome {
    call.arguments::<0>("")?;
    let mut key = [0; KEY_BYTES];
    OsEntropy.fill(&mut key);
    io.line(STANDARD.encode(key))?;
    Ok(Exit::SUCCESS)
}
