//! Pages of the documentation as tests: each command on a page is run.
//!
//! | fence | meaning |
//! |---|---|
//! | `sh` | commands for `sh -e`; one shell runs the whole page in a directory of its own; `concord` is the program under test |
//! | `sh fails` | the same, and its last command must fail |
//! | `sh online` | the same as `sh`; left out, with the `text` behind it, where nothing can be downloaded |
//! | `text` | lines which the `sh` before it must print in this order; `…` stands for any text |
//! | `hcl name`, `ini name`, `json name` | a file with that name |
//!
//! Every fence of a page must be one of these, so that a page shows nothing which is not tested. After a line which
//! ends in `&`, the script waits until the agent is ready; what runs in the background ends with the page. The test
//! replaces the ports 8500 to 8503 with free ones, and the further ones that it names.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::binary::binary;
use crate::patience::pick_port;
use crate::world::World;

/// Time without output after which a page hangs. A block prints its beginning, so it is at least that of one block,
/// which may start several processes on a busy machine.
const SILENCE: Duration = Duration::from_secs(180);

/// What a page is tried with, besides the program under test.
#[derive(Clone, Debug, Default)]
pub struct PageTools<'a> {
    /// The ports that its commands use, besides those of an agent.
    pub ports: &'a [&'a str],
    /// Directories with programs.
    pub programs: &'a [&'a Path],
    /// Variables of its shell.
    pub env: &'a [(&'a str, &'a Path)],
    /// Whether what has to be downloaded is left out.
    pub is_offline: bool,
}

/// A fenced block.
struct Fence<'a> {
    info: &'a str,
    body: &'a str,
}

/// Runs the commands of a page below `docs/`, and checks the output which the page shows.
#[track_caller]
pub fn try_page(name: &str) {
    try_page_with(name, &PageTools::default());
}

/// The same for a page whose commands need more than the program under test.
#[track_caller]
pub fn try_page_with(name: &str, tools: &PageTools<'_>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    let page = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let (http, grpc) = (pick_port(), pick_port());
    let mut free = BTreeMap::from([("8500", http.to_string()), ("8502", grpc.to_string())]);
    free.extend(["8501", "8503"].iter().chain(tools.ports).map(|port| (*port, pick_port().to_string())));
    let page = with_ports(&page, &free);
    let world = World::new();
    program(&world, http, grpc);
    let mut fences = fences(&page);
    if tools.is_offline {
        leave_out(&mut fences, "sh online");
    }
    let (script, expected) = script(&fences);
    assert!(!expected.is_empty(), "{name} has nothing to type");
    let out = shell(&world, &script, http, tools);
    let parts: Vec<_> = out.split("@@ ").skip(1).collect();
    for (at, expected) in expected.iter().enumerate() {
        let part = parts.get(at).unwrap_or_else(|| panic!("{name}: block {at} was not reached:\n{out}"));
        let mut rest = part.lines();
        for line in expected.lines() {
            let found = rest.any(|printed| fits(line.trim_end(), printed.trim_end()));
            assert!(found, "{name}: block {at} did not print {line:?}, but:\n{part}");
        }
    }
    assert!(parts.last().is_some_and(|last| last.trim() == "end"), "{name} ended too soon:\n{out}");
}

/// The files `entry.hcl` of the pages about kinds of configuration entries, by kind.
pub fn entry_examples() -> Vec<(String, String)> {
    let pages = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/entries");
    let files = fs::read_dir(pages).expect("the pages are there").map(|file| file.expect("a page").path());
    let mut all: Vec<_> = files.filter_map(|path| Some((page_kind(&path)?, entry_example(&path)?))).collect();
    all.sort();
    all
}

fn page_kind(path: &Path) -> Option<String> {
    Some(path.file_stem()?.to_str()?.to_owned())
}

fn entry_example(path: &Path) -> Option<String> {
    let page = fs::read_to_string(path).expect("a page is text");
    fences(&page).iter().find(|fence| fence.info == "hcl entry.hcl").map(|fence| fence.body.to_owned())
}

/// The page with these numbers instead of others.
fn with_ports(page: &str, free: &BTreeMap<&str, String>) -> String {
    let is_digit = |letter: char| letter.is_ascii_digit();
    let (mut out, mut rest) = (String::new(), page);
    while let Some(start) = rest.find(is_digit) {
        let (before, number) = rest.split_at(start);
        let (number, after) =
            number.split_at(number.find(|letter| !is_digit(letter)).unwrap_or(number.len()));
        out.push_str(before);
        out.push_str(free.get(number).map_or(number, String::as_str));
        rest = after;
    }
    out + rest
}

/// Writes a program called `concord`, which runs the program under test on ports of this test.
fn program(world: &World, http: u16, grpc: u16) {
    let (dir, real) = (world.dir().display(), binary().display());
    let text = format!(
        "#!/bin/sh\nif [ \"$1\" = agent ]; then\n  shift\n  echo $$ >> {dir}/pids\n  rm -f {dir}/ready\n  \
         exec {real} agent \"$@\" -hcl 'ports {{ http = {http} grpc = {grpc} }}' -ready-file={dir}/ready\nfi\nexec {real} \"$@\"\n"
    );
    fs::create_dir(world.path("bin")).expect("a directory can be made");
    let path = world.write("bin/concord", text);
    let mut modes = fs::metadata(&path).expect("it was written").permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut modes, 0o755);
    fs::set_permissions(&path, modes).expect("it is ours");
}

/// Takes out the blocks of a kind, each with the output that it shows.
fn leave_out(fences: &mut Vec<Fence<'_>>, info: &str) {
    let mut is_out = false;
    fences.retain(|fence| {
        is_out = fence.info == info || is_out && fence.info == "text";
        !is_out
    });
}

/// The whole page as one script, which marks where each block begins, and the expected output of each block.
fn script(fences: &[Fence<'_>]) -> (String, Vec<String>) {
    let mut script = "trap 'kill $(cat ../pids) 2>/dev/null || true' EXIT\n".to_owned();
    let mut expected: Vec<String> = Vec::new();
    for Fence { info, body } in fences {
        let mut words = info.split_whitespace();
        match (words.next(), words.next()) {
            (Some("sh"), fails) => {
                writeln!(script, "echo '@@ {}'", expected.len()).expect("a text takes all");
                expected.push(String::new());
                let mut lines: Vec<_> = body.lines().map(|line| (line, true)).collect();
                if fails == Some("fails") {
                    let (last, fails) = lines.last_mut().expect("a block has lines");
                    (*last, *fails) = (last.trim_end(), false);
                }
                for (line, succeeds) in lines {
                    let line = if succeeds {
                        line.to_owned()
                    } else {
                        format!("if {line}; then echo it succeeded; exit 1; fi")
                    };
                    writeln!(script, "{line}").expect("a text takes all");
                    if line.trim_end().ends_with('&') {
                        script.push_str("echo $! >> ../pids\nuntil [ -e ../ready ]; do sleep 0.05; done\n");
                    }
                }
            }
            (Some("text"), _) => {
                let last = expected.last_mut().expect("output stands behind what prints it");
                last.push_str(body);
            }
            (Some("hcl" | "ini" | "json"), Some(name)) => {
                writeln!(script, "cat > {name} <<'END OF FILE'\n{body}END OF FILE")
                    .expect("a text takes all");
            }
            _ => panic!("a fence is sh, text, or a file with its name, not {info:?}"),
        }
    }
    script.push_str("echo '@@ end'\n");
    (script, expected)
}

/// Runs a script in a directory of its own. Returns its output and errors together.
fn shell(world: &World, script: &str, http: u16, tools: &PageTools<'_>) -> String {
    let (bin, work, log) = (world.path("bin"), world.path("work"), world.path("out"));
    fs::create_dir(&work).expect("a directory can be made");
    let path = tools.programs.iter().map(|one| format!("{}:", one.display())).collect::<String>();
    let path = format!("{}:{path}/usr/bin:/bin", bin.display());
    let out = fs::File::create(&log).expect("a file can be made");
    let err = out.try_clone().expect("a file can be shared");
    let mut child = Command::new("sh")
        .args(["-e", "-c", script])
        .current_dir(work)
        .env_clear()
        .env("PATH", path)
        .envs(tools.env.iter().copied())
        .env("CONCORD_HTTP_ADDR", format!("127.0.0.1:{http}"))
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(err)
        .spawn()
        .expect("there is a shell");
    let written = || fs::metadata(&log).map_or(0, |file| file.len());
    let mut last = (written(), Instant::now());
    while child.try_wait().expect("it is ours").is_none() {
        let now = written();
        if now > last.0 {
            last = (now, Instant::now());
        }
        if last.1.elapsed() > SILENCE {
            child.kill().expect("it is ours");
            end_all(world.dir());
            panic!("the page hangs:\n{}", fs::read_to_string(&log).unwrap_or_default());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    fs::read_to_string(log).expect("the output is text")
}

/// Kills what the page started and left running.
fn end_all(dir: &Path) {
    let pids = fs::read_to_string(dir.join("pids")).unwrap_or_default();
    let _ = Command::new("kill").arg("-9").args(pids.split_whitespace()).status();
}

fn fences(page: &str) -> Vec<Fence<'_>> {
    let mut all = Vec::new();
    let mut rest = page;
    while let Some((_, after)) = rest.split_once("\n```") {
        let (info, after) = after.split_once('\n').expect("a fence has an end");
        let (body, after) = match after.strip_prefix("```") {
            Some(after) => ("", after),
            None => {
                let end = after.find("\n```").expect("a fence has an end");
                (&after[..=end], &after[end + 4..])
            }
        };
        all.push(Fence { info: info.trim(), body });
        rest = after;
    }
    all
}

/// Whether a printed text matches the text on a page, in which `…` stands for any text.
pub fn fits<'a>(shown: &str, printed: &'a str) -> bool {
    let parts: Vec<_> = shown.split('…').collect();
    let [first, between @ .., last] = parts.as_slice() else { return shown == printed };
    let rest = printed.strip_prefix(first).and_then(|rest| rest.strip_suffix(last));
    let found = |rest: &'a str, part: &&str| rest.split_once(*part).map(|(_, after)| after);
    rest.is_some_and(|rest| between.iter().try_fold(rest, found).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_compared_with_room_for_what_differs() {
        for (shown, printed, same) in [
            ("a b", "a b", true),
            ("a b", "a b c", false),
            ("a …", "a b c", true),
            ("… c", "a b c", true),
            ("… b", "a b c", false),
            ("a … c", "a b c", true),
            ("a … d", "a b c", false),
            ("", "a", false),
        ] {
            assert_eq!(fits(shown, printed), same, "{shown:?} {printed:?}");
        }
    }

    #[test]
    fn whole_numbers_are_replaced_once() {
        let free = BTreeMap::from([("9001", "19001".to_owned()), ("19001", "9001".to_owned())]);
        assert_eq!(with_ports("a:9001 b:19001 c:90010 9", &free), "a:19001 b:9001 c:90010 9");
    }

    #[test]
    fn a_page_is_taken_apart_into_its_fences() {
        let page = "# x\n\n```sh\na\nb &\n```\n\nwords\n\n```text\nc\n```\n```hcl a.hcl\nd = 1\n```\n";
        let all = fences(page);
        let shown: Vec<_> = all.iter().map(|one| (one.info, one.body)).collect();
        assert_eq!(shown, [("sh", "a\nb &\n"), ("text", "c\n"), ("hcl a.hcl", "d = 1\n")]);
        let (script, expected) = script(&all);
        assert_eq!(expected, ["c\n"]);
        assert!(script.contains("b &\necho $! >> ../pids\nuntil [ -e ../ready ]"), "{script}");
        assert!(script.contains("cat > a.hcl <<'END OF FILE'\nd = 1\nEND OF FILE"), "{script}");
    }

    #[test]
    fn without_a_network_what_needs_it_is_left_out_with_its_output() {
        let page = "\n```sh online\na\n```\n\n```text\nb\n```\n\n```sh\nc\n```\n\n```text\nd\n```\n";
        let mut all = fences(page);
        leave_out(&mut all, "sh online");
        let shown: Vec<_> = all.iter().map(|one| (one.info, one.body)).collect();
        assert_eq!(shown, [("sh", "c\n"), ("text", "d\n")]);
    }
}
