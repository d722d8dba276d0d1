//! Turns the agent's flags into its configuration. This module reads the files; `config` decides everything else.

use std::fs;
use std::path::{Path, PathBuf};

use concord_config::{AgentFlags, Diagnostic, Format, Host, Loaded, Origin, Source, load};
use concord_model::Secret;

use crate::cli::failure::Failure;
use crate::cli::flag::Values;

/// Most files read from one directory; more mean a wrong path.
const DIRECTORY_FILES_MAX: usize = 4096;

/// Flags without effect that are accepted.
const WITHOUT_MEANING: [&str; 2] = ["protocol", "raft-protocol"];
/// Flags that are handled here or converted by [`flags`].
const KNOWN: [&str; 50] = [
    "advertise",
    "allow-write-http-from",
    "bind",
    "bootstrap",
    "bootstrap-expect",
    "check_output_max_size",
    "client",
    "config-dir",
    "config-file",
    "config-format",
    "data-dir",
    "datacenter",
    "default-query-time",
    "dev",
    "disable-host-node-id",
    "dns-port",
    "alt-domain",
    "domain",
    "enable-local-script-checks",
    "enable-script-checks",
    "encrypt",
    "ephemeral-ports",
    "grpc-port",
    "grpc-tls-port",
    "hcl",
    "http-port",
    "https-port",
    "join",
    "log-file",
    "log-json",
    "log-level",
    "log-rotate-bytes",
    "log-rotate-duration",
    "log-rotate-max-files",
    "max-query-time",
    "node",
    "node-id",
    "node-meta",
    "pid-file",
    "protocol",
    "raft-protocol",
    "ready-file",
    "recursor",
    "retry-join",
    "serf-lan-port",
    "serf-wan-port",
    "server",
    "server-port",
    "syslog",
    "ui",
];

/// The result of the agent's flags.
#[derive(Debug)]
pub(crate) struct Configuration {
    /// The configuration and its warnings.
    pub(crate) loaded: Loaded,
    /// The file for the bound addresses, written once the agent serves.
    pub(crate) ready_file: Option<PathBuf>,
}

/// Reads the files that the flags name, and loads the configuration. A reload calls it again.
pub(crate) fn read(values: &Values, host: &Host) -> Result<Configuration, Failure> {
    let flags = flags(values)?;
    let found = sources(values)?;
    let mut loaded = load(&found.sources, &flags, host).map_err(refused)?;
    found.tell_left_out(&mut loaded);
    Ok(Configuration { loaded, ready_file: values.optional("ready-file").map(PathBuf::from) })
}

/// The errors of a configuration, one per line.
pub(crate) fn refused(found: Vec<Diagnostic>) -> Failure {
    let lines: Vec<_> = found.iter().map(ToString::to_string).collect();
    Failure::input(format!("the configuration cannot be used\n  {}", lines.join("\n  ")))
}

/// Files that were named directly or through their directory.
#[derive(Debug, Default)]
pub(crate) struct FoundFiles {
    /// The files that are read.
    pub(crate) sources: Vec<Source>,
    /// The files in directories that are skipped because of their names.
    left_out: Vec<PathBuf>,
}

impl FoundFiles {
    /// Adds files that are read after these.
    pub(crate) fn append(&mut self, later: Self) {
        self.sources.extend(later.sources);
        self.left_out.extend(later.left_out);
    }

    /// Warns about skipped files, because the user may believe that they are read.
    pub(crate) fn tell_left_out(&self, loaded: &mut Loaded) {
        let told = self.left_out.iter().map(|path| {
            let origin = Origin { source: path.display().to_string(), ..Origin::default() };
            Diagnostic::warning(
                origin,
                "",
                "is left out: its name ends neither in .hcl nor in .json; rename it or give -config-format",
            )
        });
        loaded.warnings.splice(0..0, told);
    }
}

/// The files in the order in which later ones win: in flag order, and by name within a directory.
fn sources(values: &Values) -> Result<FoundFiles, Failure> {
    let format = values.optional("config-format").and_then(Format::parse);
    sources_at(values.in_order(&["config-file", "config-dir"]), format)
}

/// The files at these paths and in these directories.
pub(crate) fn sources_at<'a>(
    named: impl IntoIterator<Item = &'a str>,
    format: Option<Format>,
) -> Result<FoundFiles, Failure> {
    let (mut paths, mut left_out) = (Vec::new(), Vec::new());
    for named in named {
        let path = PathBuf::from(named);
        // Either flag accepts files and directories, as in Consul.
        if path.is_dir() {
            let (read, other) =
                directory_files(&path)?.into_iter().partition(|path| format.is_some() || is_named(path));
            paths.extend::<Vec<_>>(read);
            left_out.extend::<Vec<_>>(other);
        } else {
            paths.push(path);
        }
    }
    let sources = paths.into_iter().map(|path| source(&path, format)).collect::<Result<_, _>>()?;
    Ok(FoundFiles { sources, left_out })
}

fn source(path: &Path, format: Option<Format>) -> Result<Source, Failure> {
    let shown = path.display();
    let bytes = fs::read(path).map_err(|error| Failure::system(format!("read {shown}"), error))?;
    Ok(Source { format, ..Source::file(shown.to_string(), bytes) })
}

/// Whether a file's name tells its format.
fn is_named(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "hcl" || extension == "json")
}

fn directory_files(directory: &Path) -> Result<Vec<PathBuf>, Failure> {
    let fault = |error| Failure::system(format!("read the directory {}", directory.display()), error);
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        if path.is_file() {
            files.push(path);
        }
        if files.len() > DIRECTORY_FILES_MAX {
            let shown = directory.display();
            return Err(Failure::input(format!("{shown} holds more than {DIRECTORY_FILES_MAX} files")));
        }
    }
    files.sort();
    Ok(files)
}

/// The flags as a layer of the configuration.
fn flags(values: &Values) -> Result<AgentFlags, Failure> {
    let given = |name: &&str| values.origin(name).is_some() && !WITHOUT_MEANING.contains(name);
    let names: Vec<_> = values.flags().iter().map(|flag| flag.name).filter(given).collect();
    // A switch that is explicitly off asks for what is the case anyway.
    let off = |name: &&str| values.optional(name) == Some("false");
    let absent = names.into_iter().filter(|name| !KNOWN.contains(name) && !off(name)).collect();
    let text = |name: &str| values.optional(name).map(str::to_owned);
    let switch = |name: &str| values.optional(name).map(|_| values.switch(name));
    let number = |name: &str| values.integer(name);
    let mut node_meta = std::collections::BTreeMap::new();
    for pair in values.list("node-meta") {
        let (key, value) = pair
            .split_once(':')
            .ok_or_else(|| Failure::usage(format!("-node-meta: {pair:?} is not key:value")))?;
        node_meta.insert(key.to_owned(), value.to_owned());
    }
    Ok(AgentFlags {
        dev: values.switch("dev"),
        ephemeral_ports: values.switch("ephemeral-ports"),
        hcl: values.list("hcl").iter().map(|text| Secret::new(text.clone())).collect(),
        advertise: text("advertise"),
        allow_write_http_from: values.list("allow-write-http-from").to_vec(),
        bind: text("bind"),
        bootstrap: switch("bootstrap"),
        bootstrap_expect: number("bootstrap-expect"),
        check_output_max_size: number("check_output_max_size"),
        client: text("client"),
        disable_host_node_id: switch("disable-host-node-id"),
        data_dir: text("data-dir"),
        datacenter: text("datacenter"),
        default_query_time: text("default-query-time"),
        recursors: values.list("recursor").to_vec(),
        dns_port: number("dns-port"),
        alt_domain: text("alt-domain"),
        domain: text("domain"),
        enable_local_script_checks: switch("enable-local-script-checks"),
        enable_script_checks: switch("enable-script-checks"),
        encrypt: text("encrypt").map(Secret::new),
        grpc_port: number("grpc-port"),
        grpc_tls_port: number("grpc-tls-port"),
        http_port: number("http-port"),
        https_port: number("https-port"),
        retry_join: values.list("join").iter().chain(values.list("retry-join")).cloned().collect(),
        log_file: text("log-file"),
        log_json: switch("log-json"),
        log_level: text("log-level"),
        log_rotate_bytes: number("log-rotate-bytes"),
        log_rotate_duration: text("log-rotate-duration"),
        log_rotate_max_files: number("log-rotate-max-files"),
        max_query_time: text("max-query-time"),
        node: text("node"),
        node_id: text("node-id"),
        node_meta,
        pid_file: text("pid-file"),
        serf_lan_port: number("serf-lan-port"),
        serf_wan_port: number("serf-wan-port"),
        server: switch("server"),
        server_port: number("server-port"),
        syslog: switch("syslog"),
        ui: switch("ui"),
        absent,
    })
}

#[cfg(test)]
mod tests {
    use super::super::AGENT;
    use super::*;
    use crate::cli::args;
    use crate::cli::env::Env;
    use crate::cli::flag::{Flag, Kind};

    fn configure(line: &[&str]) -> Result<Configuration, Failure> {
        let words: Vec<_> = line.iter().map(|word| (*word).to_owned()).collect();
        let values = args::parse(AGENT.all_flags(), &words, &Env::default(), AGENT.order()).unwrap();
        read(&values, &Host { hostname: "here".to_owned(), ..Host::default() })
    }

    #[track_caller]
    fn refuse(line: &[&str], expected: &str) {
        match configure(line) {
            Err(Failure::Input(message) | Failure::NotAvailable(message)) => {
                assert!(message.contains(expected), "{message}");
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_flag_taken_over_is_declared() {
        for name in KNOWN {
            assert!(AGENT.flags.iter().any(|flag| flag.name == name), "-{name}");
        }
    }

    #[test]
    fn help_says_of_each_flag_whether_it_counts() {
        for flag in AGENT.flags {
            let absent = concord_config::flags::is_absent(flag.name);
            assert!(absent || KNOWN.contains(&flag.name), "-{} leads nowhere", flag.name);
            let counts = KNOWN.contains(&flag.name) && !absent;
            assert_eq!(flag.help.ends_with("Not available yet."), !counts, "-{}: {}", flag.name, flag.help);
        }
    }

    /// A valid value for a flag, with the other flags that it needs.
    fn sample(flag: &Flag, directory: &str) -> Vec<String> {
        let value = match flag.name {
            "bind" | "advertise" | "client" | "recursor" => "127.0.0.1",
            "allow-write-http-from" => "127.0.0.0/8",
            "node-id" => "11111111-0000-4000-8000-000000000001",
            "node-meta" => "rack:a",
            "config-format" => "hcl",
            "config-dir" | "config-file" => directory,
            "encrypt" => "MDEyMzQ1Njc4OWFiY2RlZg==",
            "hcl" => "node_name = \"a\"",
            "log-level" => "warn",
            "default-query-time" | "max-query-time" | "log-rotate-duration" => "5s",
            "bootstrap-expect" => "1",
            _ => match flag.kind {
                Kind::Switch => "true",
                Kind::Integer => "8",
                _ => "x",
            },
        };
        let mode: &[&str] = match flag.name {
            "bootstrap" | "bootstrap-expect" => &["-server", "-data-dir=/d"],
            // These flags need a log file.
            "log-rotate-bytes" | "log-rotate-duration" | "log-rotate-max-files" => &["-dev", "-log-file=/l"],
            _ => &["-dev"],
        };
        mode.iter().map(|word| (*word).to_owned()).chain([format!("-{}={value}", flag.name)]).collect()
    }

    #[test]
    fn a_flag_without_effect_is_refused_or_warned_of_when_it_is_given() {
        let directory = tempfile::tempdir().unwrap();
        for flag in AGENT.flags {
            let line = sample(flag, directory.path().to_str().unwrap());
            let told = match configure(&line.iter().map(String::as_str).collect::<Vec<_>>()) {
                Ok(read) => {
                    let warnings = read.loaded.warnings.iter().map(ToString::to_string);
                    warnings
                        .filter(|one| one.contains("not available yet") || one.contains("no effect"))
                        .count()
                        > 0
                }
                Err(Failure::NotAvailable(_)) => true,
                Err(Failure::Input(text)) if text.contains("not available yet") => true,
                Err(other) => panic!("{line:?}: {other:?}"),
            };
            // Gossip keys do not exist, and node ids are random, so these two flags ask for what is the case anyway.
            let needs_word = !matches!(flag.name, "disable-keyring-file" | "disable-host-node-id");
            assert_eq!(told, needs_word && flag.help.ends_with("Not available yet."), "{line:?}");
        }
    }

    #[test]
    fn flags_win_over_files_and_later_files_over_earlier() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        fs::write(path("b.hcl"), "datacenter = \"b\"\nnode_name = \"b\"\nlog_level = \"warn\"").unwrap();
        fs::write(path("c.json"), r#"{"node_name": "c", "log_level": "error"}"#).unwrap();
        fs::write(path("notes.txt"), "not configuration").unwrap();
        let line = ["-dev", "-config-dir", &path(""), "-log-level=debug", "-ready-file=/r"];
        let read = configure(&line).unwrap();
        let origin = |key: &str| read.loaded.origin(key).to_string();
        assert!(origin("datacenter").contains("b.hcl:1:"), "{}", origin("datacenter"));
        assert!(origin("node_name").contains("c.json:1:"), "{}", origin("node_name"));
        assert_eq!(origin("log_level"), "-log-level");
        assert_eq!(read.ready_file.as_deref(), Some(Path::new("/r")));
        let [left_out] = read.loaded.warnings.as_slice() else { panic!("{:?}", read.loaded.warnings) };
        assert!(left_out.to_string().ends_with("notes.txt: is left out: its name ends neither in .hcl nor in .json; rename it or give -config-format"));
    }

    #[test]
    fn files_and_directories_are_read_as_they_follow_each_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        fs::create_dir(path("d")).unwrap();
        for (name, node) in [("d/b.hcl", "d-b"), ("d/a.hcl", "d-a"), ("f.hcl", "f")] {
            fs::write(path(name), format!("node_name = \"{node}\"")).unwrap();
        }
        let last = |line: &[&str]| {
            let line: Vec<&str> = ["-dev"].iter().chain(line).copied().collect();
            configure(&line).unwrap().loaded.config.agent.node_name.to_string()
        };
        let (file, dir) = (format!("-config-file={}", path("f.hcl")), format!("-config-dir={}", path("d")));
        assert_eq!(last(&[&file, &dir]), "d-b");
        assert_eq!(last(&[&dir, &file]), "f");
        assert_eq!(last(&[&dir, &file, &dir]), "d-b");
        // Either flag accepts files and directories.
        let (file, dir) = (format!("-config-dir={}", path("f.hcl")), format!("-config-file={}", path("d")));
        assert_eq!((last(&[&file, &dir]), last(&[&dir, &file])), ("d-b".to_owned(), "f".to_owned()));
    }

    #[test]
    fn what_is_not_there_yet_is_named() {
        let hcl = "-hcl=acl { msp_disable_bootstrap = true }";
        refuse(&["-dev", hcl], "not available yet: acl.msp_disable_bootstrap");
        let started = configure(&["-dev", "-rejoin=false", "-auto-reload-config"]).unwrap();
        let warnings: Vec<_> = started.loaded.warnings.iter().map(ToString::to_string).collect();
        let told = [
            "-auto-reload-config: auto_reload_config has no effect: reload with SIGHUP or the command reload",
        ];
        assert_eq!(warnings, told);
        let warnings = configure(&["-dev", "-disable-host-node-id=false"]).unwrap().loaded.warnings;
        assert!(warnings[0].to_string().contains("disable_host_node_id has no effect"), "{warnings:?}");
        assert!(configure(&["-dev", "-protocol=3", "-raft-protocol=3"]).is_ok());
    }

    #[test]
    fn unknown_keys_and_missing_files_are_refused() {
        refuse(&["-dev", "-hcl", "datacentre = \"x\""], "-hcl:1:1");
        assert!(matches!(configure(&["-dev", "-config-file=/nonexistent"]), Err(Failure::System { .. })));
        assert!(matches!(configure(&["-dev", "-config-dir=/nonexistent"]), Err(Failure::System { .. })));
        assert!(matches!(configure(&["-dev", "-node-meta=x"]), Err(Failure::Usage { .. })));
    }
}
