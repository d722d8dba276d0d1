//! The table of errors (`docs/errors.md`): the test runs the command of each row, which must end as the row says.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use concord_e2e::{Agent, AgentOptions, World, binary, fits, pick_port};
use serde_json::json;

const TABLE: &str = include_str!("../../../../docs/errors.md");
const ROOT: &str = "8c4b3a0e-6d53-4a1c-9e07-5f0b7c1d2e3f";
const UNKNOWN: &str = "00000000-0000-4000-8000-00000000dead";
/// Minimum number of rows.
const ROWS_MIN: usize = 80;
/// Number of commands which run at the same time.
const RUNNERS: usize = 6;

/// Files which the commands of the table name.
const FILES: &[(&str, &str)] = &[
    ("empty", ""),
    ("text.pem", "no certificate"),
    ("bad.hcl", "a = {"),
    ("noname.hcl", "service { port = 1 }"),
    ("port.hcl", "service { name = \"web\" port = 99999 }"),
    ("beside.hcl", "service { name = \"web\" }\tservise { name = \"db\" }"),
    ("svc.hcl", "service { name = \"web\" port = 80 }"),
    (
        "entry.hcl",
        "kind = \"service-intentions\"\nname = \"db\"\nsources = [{ name = \"web\", action = \"deny\" }]",
    ),
    (
        "misspelt.hcl",
        "kind = \"service-intentions\"\nname = \"db\"\nsources = [{ name = \"web\", actoin = \"deny\" }]",
    ),
    ("kind.hcl", "kind = \"nope\"\nname = \"x\""),
    ("ca.json", "{\"Provider\":\"nope\",\"Config\":{}}"),
    ("unknown.hcl", "server = true\nbootstrap = true\ndata_dri = \"/d\""),
    ("client.hcl", "data_dir = \"/tmp/x\""),
];

/// One row of the table.
struct Row<'a> {
    line: &'a str,
    command: &'a str,
    code: i32,
    text: String,
}

fn rows() -> Vec<Row<'static>> {
    let begin = TABLE.find("\n## ").expect("the table has parts");
    let is_row = |line: &&str| line.starts_with("| ") && !line.starts_with("| situation");
    TABLE[begin..]
        .lines()
        .filter(is_row)
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').splitn(4, " | ").map(str::trim).collect();
            let [_, command, code, text] = cells.as_slice() else { panic!("four cells: {line}") };
            let command = command.trim_matches('`');
            let text = text.replace("<br>", "\n").replace("\\|", "|");
            Row { line, command, code: code.parse().expect("a code"), text }
        })
        .collect()
}

/// Starts a server which reads a request, calls `answer`, and closes the connection. Returns its address.
fn serve(answer: impl Fn(&mut TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    // The thread ends with the process.
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 16 * 1024]);
            answer(&mut stream);
        }
    });
    address
}

fn answering(status: u16, body: &'static str) -> String {
    serve(move |stream| {
        let length = body.len();
        let _ = write!(
            stream,
            "HTTP/1.1 {status} X\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        );
    })
}

/// The values of the placeholders in the table, and everything that must live as long as the commands run.
struct Scene {
    world: World,
    names: Vec<(&'static str, String)>,
    _agents: Vec<Agent>,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        for (name, text) in FILES {
            world.write(name, text);
        }
        for words in [
            &["tls", "ca", "create"][..],
            &["tls", "cert", "create", "-server"],
            &["tls", "cert", "create", "-cli"],
            &["tls", "ca", "create", "-domain=other"],
            &["tls", "cert", "create", "-cli", "-domain=other"],
        ] {
            let ran = Command::new(binary()).env_clear().current_dir(world.dir()).args(words).output();
            assert!(ran.expect("it runs").status.success(), "{words:?}");
        }
        let dev = |name: &str, hcl: String| {
            world.agent(name, AgentOptions { dev: true, hcl: vec![hcl], ..AgentOptions::default() })
        };
        let acl = |tokens: &str| format!("acl {{ enabled = true default_policy = \"deny\" {tokens} }}");
        let path = |name: &str| world.path(name).display().to_string();
        let open = dev("open", String::new());
        let strict = dev("strict", acl(&format!("tokens {{ initial_management = \"{ROOT}\" }}")));
        let unboot = dev("unboot", acl(""));
        let tls = dev(
            "tls",
            format!(
                "ports {{ https = {} grpc_tls = {} }} \
                 tls {{ defaults {{ ca_file = \"{}\" cert_file = \"{}\" key_file = \"{}\" verify_incoming = true }} }}",
                pick_port(),
                pick_port(),
                path("consul-agent-ca.pem"),
                path("dc1-server-consul-0.pem"),
                path("dc1-server-consul-0-key.pem"),
            ),
        );
        let kept = world.agent("kept", AgentOptions::default());
        let allow = json!({ "Action": "allow" });
        open.http().put("/v1/connect/intentions/exact?source=web&destination=db", &allow).ok();
        let http = strict.http().with_token(ROOT);
        let rules = "service \"web\" { policy = \"read\" }";
        http.put("/v1/acl/policy", &json!({ "Name": "p", "Rules": rules })).ok();
        let made = http.put("/v1/acl/token", &json!({ "Policies": [{ "Name": "p" }] })).json();
        let hidden = json!({ "Name": "hidden", "Port": 1, "Connect": { "SidecarService": {} } });
        http.put("/v1/agent/service/register", &hidden).ok();
        let field = |name: &str| made[name].as_str().expect("a text").to_owned();
        let names = vec![
            ("open", open.http_addr()),
            ("strict", strict.http_addr()),
            ("unboot", unboot.http_addr()),
            ("tls", tls.https_addr().to_string()),
            ("nobody", "127.0.0.1:1".to_owned()),
            ("talker", serve(|stream| drop(stream.write_all(b"220 mail ready\r\n")))),
            ("hangup", serve(|_| {})),
            ("garbage", answering(200, "<html>")),
            ("bare", answering(404, "page not found")),
            ("leaderless", answering(500, "No cluster leader")),
            ("busy", answering(429, "Rate limit reached, try again later")),
            ("full", answering(503, "read-only: no space left on the disk")),
            ("root", ROOT.to_owned()),
            ("none", field("SecretID")),
            ("accessor", field("AccessorID")),
            ("unknown", UNKNOWN.to_owned()),
            ("data", kept.data().display().to_string()),
            ("program", binary().canonicalize().expect("it is there").display().to_string()),
            ("port", open.http_addr().rsplit(':').next().expect("a port").to_owned()),
        ];
        Self { world, names, _agents: vec![open, strict, unboot, tls, kept] }
    }

    fn filled(&self, text: &str) -> String {
        let fill = |text: String, (name, value): &(&str, String)| text.replace(&format!("{{{name}}}"), value);
        self.names.iter().fold(text.to_owned(), fill)
    }

    /// How the result of a command differs from its row.
    fn fault(&self, row: &Row<'_>) -> Option<String> {
        let words = words(&self.filled(row.command));
        let variables: Vec<_> = words.iter().map_while(|word| variable(word)).collect();
        let mut command = Command::new(binary());
        command.env_clear().envs(variables.iter().copied()).args(&words[variables.len()..]);
        let ran = command.current_dir(self.world.dir()).stdin(Stdio::null()).output().expect("it runs");
        let err = String::from_utf8_lossy(&ran.stderr);
        let lines: Vec<_> = err.trim_end().lines().map(str::trim).collect();
        let (code, said, expected) = (ran.status.code(), lines.join("\n"), self.filled(&row.text));
        let same = code == Some(row.code) && fits(&expected, &said);
        (!same).then(|| format!("{}\nended with {code:?} and said\n{said}\n", row.line))
    }
}

/// A word which sets an environment variable before a command.
fn variable(word: &str) -> Option<(&str, &str)> {
    let is_name = |name: &str| name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    word.split_once('=').filter(|(name, _)| is_name(name))
}

/// Splits a line into words as a shell does: at blanks which are not inside double quotes.
fn words(line: &str) -> Vec<String> {
    let (mut all, mut word, mut quoted, mut begun) = (Vec::new(), String::new(), false, false);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => (quoted, begun) = (!quoted, true),
            '\\' => word.extend(chars.next()),
            ' ' if !quoted => {
                if begun || !word.is_empty() {
                    all.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            c => word.push(c),
        }
    }
    if begun || !word.is_empty() {
        all.push(word);
    }
    all
}

#[test]
fn every_command_ends_as_the_table_says() {
    let (scene, rows) = (Scene::new(), rows());
    assert!(rows.len() >= ROWS_MIN, "{} rows", rows.len());
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..RUNNERS {
            scope.spawn(|| {
                while let Some(row) = rows.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let fault = scene.fault(row);
                    wrong.lock().expect("no runner panics").extend(fault);
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no runner panics");
    assert!(wrong.is_empty(), "{} rows are otherwise:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn every_command_stands_in_the_table_and_no_row_twice() {
    let world = World::new();
    let help = String::from_utf8(world.run(&["-help"]).stdout).expect("text");
    let listed = help.lines().skip_while(|line| !line.starts_with("Available")).skip(1);
    let commands: Vec<_> = listed
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(commands.len() > 15, "{commands:?}");
    let rows = rows();
    for command in commands {
        assert!(
            rows.iter().any(|row| row.command.split(' ').next() == Some(command)),
            "{command} has no row"
        );
    }
    let run: BTreeSet<_> = rows.iter().map(|row| row.command).collect();
    assert_eq!(run.len(), rows.len());
}

#[test]
fn a_row_that_is_otherwise_is_found() {
    let scene = Scene { world: World::new(), names: Vec::new(), _agents: Vec::new() };
    let row = |code, text: &str| Row { line: "", command: "keygen \"a b\" c", code, text: text.to_owned() };
    let text = "Error: expected no arguments, found 2\nSee: concord keygen -help";
    assert_eq!(scene.fault(&row(1, text)), None);
    assert_eq!(scene.fault(&row(1, "Error: expected no arguments, …")), None);
    scene.fault(&row(2, text)).expect("another code");
    scene.fault(&row(1, &text[1..])).expect("another text");
    assert_eq!(words("a \"b \\\"c\" \"\" d"), ["a", "b \"c", "", "d"]);
}
