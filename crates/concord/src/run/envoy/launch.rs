//! Becoming Envoy.
//!
//! Envoy reads its bootstrap from a path, and refuses those below /dev and /proc. The bootstrap holds the token and
//! must not get to a disk. So it goes through a named pipe: this process becomes Envoy, and another one, which this
//! program starts as `connect envoy pipe-bootstrap <path>`, writes to the pipe once Envoy reads it, and removes it.
//!
//! ```text
//! connect envoy ──spawns──► pipe-bootstrap ──spawns──► pipe-bootstrap … feed   (nobody's child: it leaves no zombie)
//!       │ exec                    │ ends                   │
//!       ▼                                                  ▼
//!     Envoy ◄──────────────── named pipe ◄─────────── bootstrap
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use concord_runtime::{Clock as _, TokioClock, timeout};
use concord_xds::bootstrap::version::{OLDEST, Support, TESTED, Version};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::cli::{Exit, Failure, Io, Outcome};

/// The word that asks for the other process, and the one that asks for its last form.
const PIPE: &str = "pipe-bootstrap";
const FEED: &str = "feed";
/// Largest bootstrap that is passed on.
const BOOTSTRAP_BYTES_MAX: u64 = 16 << 20;
/// How long Envoy may take to read its bootstrap, and how often that is looked for.
const READ_WITHIN: (Duration, Duration) = (Duration::from_secs(60), Duration::from_millis(20));
/// Time for Envoy to tell its version.
const VERSION_WITHIN: Duration = Duration::from_secs(20);
/// Names of pipes that are tried: those of ended processes with the same id may be there still.
const NAMES_MAX: u32 = 100;
/// Arguments of Envoy that are about hot restarts. Without them those are turned off, so that several Envoys of one
/// machine do not meet.
const HOT_RESTART: [&str; 4] =
    ["--restart-epoch", "--hot-restart-version", "--drain-time-s", "--parent-shutdown-time-s"];

/// What is run.
#[derive(Debug)]
pub(super) struct Launch {
    /// `None`: searched for in PATH.
    pub(super) binary: Option<PathBuf>,
    /// Also a version that is too old.
    pub(super) any_version: bool,
    /// Further arguments of Envoy.
    pub(super) arguments: Vec<String>,
}

/// Becomes Envoy. It returns only if that fails.
pub(super) async fn start(launch: &Launch, bootstrap: &str, io: &mut Io) -> Outcome {
    let binary = binary(launch)?;
    if !launch.any_version {
        check_version(&binary, io).await?;
    }
    let pipe = pipe()?;
    if let Err(failure) = hand_over(bootstrap, &pipe) {
        let _ = fs::remove_file(&pipe);
        return Err(failure);
    }
    io.flush().map_err(Failure::Output)?;
    let mut envoy = Command::new(&binary);
    envoy.arg("--config-path").arg(&pipe);
    if !launch.arguments.iter().any(|argument| is_hot_restart(argument)) {
        envoy.arg("--disable-hot-restart");
    }
    let error = envoy.args(&launch.arguments).exec();
    let _ = fs::remove_file(&pipe);
    Err(Failure::system(format!("run {}", binary.display()), error))
}

fn is_hot_restart(argument: &str) -> bool {
    HOT_RESTART.contains(&argument.split('=').next().unwrap_or_default())
}

fn binary(launch: &Launch) -> Result<PathBuf, Failure> {
    if let Some(path) = &launch.binary {
        return Ok(path.clone());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).map(|directory| directory.join("envoy")).find(|path| path.is_file());
    found.ok_or_else(|| {
        Failure::absent(
            "there is no program envoy in PATH",
            "install Envoy, or name its program with -envoy-binary",
        )
    })
}

async fn check_version(binary: &Path, io: &mut Io) -> Result<(), Failure> {
    let shown = binary.display();
    let mut command = tokio::process::Command::new(binary);
    command.arg("--version").stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(&TokioClock::new(), VERSION_WITHIN, command.output()).await;
    let output = output
        .map_err(|_| Failure::input(format!("{shown} --version has not ended within {VERSION_WITHIN:?}")))?
        .map_err(|error| Failure::system(format!("ask {shown} for its version"), error))?;
    let version = Version::find(&String::from_utf8_lossy(&output.stdout)).ok_or_else(|| {
        Failure::input(format!(
            "{shown} --version names no version; is it Envoy? -ignore-envoy-compatibility runs it without knowing"
        ))
    })?;
    let (major, minor) = OLDEST;
    match version.support() {
        Support::Tested => Ok(()),
        Support::Untested => {
            let tested: Vec<_> = TESTED.iter().map(|(major, minor)| format!("{major}.{minor}")).collect();
            io.remark(format_args!(
                "Warning: Envoy {version} was not tested with concord; tested: {}",
                tested.join(", ")
            ))
        }
        Support::TooOld => Err(Failure::input(format!(
            "Envoy version {version} is not supported: {major}.{minor} is the oldest that is; \
             -ignore-envoy-compatibility runs it nevertheless"
        ))),
    }
}

/// A new named pipe that only this user may open.
fn pipe() -> Result<PathBuf, Failure> {
    let (directory, id) = (std::env::temp_dir(), std::process::id());
    for number in 0..NAMES_MAX {
        let path = directory.join(format!("envoy-{id}-{number}-bootstrap.json"));
        match rustix::fs::mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR) {
            Ok(()) => return Ok(path),
            Err(Errno::EXIST) => {}
            Err(error) => {
                return Err(Failure::system(format!("make the named pipe {}", path.display()), error.into()));
            }
        }
    }
    Err(Failure::input(format!(
        "{} holds {NAMES_MAX} files envoy-{id}-…-bootstrap.json of ended processes; remove them",
        directory.display()
    )))
}

/// Gives the bootstrap to the process that feeds the pipe.
fn hand_over(bootstrap: &str, pipe: &Path) -> Result<(), Failure> {
    let doing = |error| Failure::system("start the process that passes the bootstrap to Envoy", error);
    let mut helper = own_program(pipe).map_err(doing)?.stdin(Stdio::piped()).spawn().map_err(doing)?;
    let written = helper.stdin.take().map_or(Ok(()), |mut to| to.write_all(bootstrap.as_bytes()));
    let ended = helper.wait().map_err(doing)?;
    written.map_err(doing)?;
    if ended.success() {
        Ok(())
    } else {
        Err(Failure::input("the process that passes the bootstrap to Envoy failed"))
    }
}

fn own_program(pipe: &Path) -> std::io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["connect", "envoy", PIPE]).arg(pipe);
    Ok(command)
}

/// The path of the pipe, if the arguments ask for the process that feeds one.
pub(super) fn pipe_to_feed(arguments: &[String]) -> Option<&Path> {
    match arguments {
        [word, path] if word == PIPE => Some(Path::new(path)),
        [word, path, last] if word == PIPE && last == FEED => Some(Path::new(path)),
        _ => None,
    }
}

/// Writes the standard input to a pipe once somebody reads it. The first form only starts the last one, so that this is
/// nobody's child when its parent has become Envoy.
pub(super) async fn feed(path: &Path, arguments: &[String], io: &mut Io) -> Outcome {
    let doing = |error| Failure::system("read the bootstrap from the standard input", error);
    let mut text = Vec::new();
    (&mut io.input).take(BOOTSTRAP_BYTES_MAX).read_to_end(&mut text).map_err(doing)?;
    if arguments.len() == 2 {
        let again = own_program(path).and_then(|mut own| own.arg(FEED).stdin(Stdio::piped()).spawn());
        let mut again =
            again.map_err(|error| Failure::system("start the process that feeds the pipe", error))?;
        return match again.stdin.take().map_or(Ok(()), |mut to| to.write_all(&text)) {
            Ok(()) => Ok(Exit::SUCCESS),
            Err(error) => Err(Failure::system("pass the bootstrap on", error)),
        };
    }
    let opened = reader_of(path).await;
    let _ = fs::remove_file(path);
    let written = opened.and_then(|mut pipe| pipe.write_all(&text));
    written
        .map(|()| Exit::SUCCESS)
        .map_err(|error| Failure::system(format!("write the bootstrap to {}", path.display()), error))
}

/// The pipe, opened once somebody reads it.
async fn reader_of(path: &Path) -> std::io::Result<File> {
    let (clock, nonblocking) =
        (TokioClock::new(), i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default());
    let deadline = clock.now() + READ_WITHIN.0;
    loop {
        match OpenOptions::new().write(true).custom_flags(nonblocking).open(path) {
            // Writing may wait for the reader from here on; the first handle keeps the pipe open meanwhile.
            Ok(_there) => return OpenOptions::new().write(true).open(path),
            Err(error)
                if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) && clock.now() < deadline =>
            {
                clock.sleep(READ_WITHIN.1).await;
            }
            Err(error) => return Err(error),
        }
    }
}
