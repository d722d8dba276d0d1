//! Turns written values into sections: applies defaults and rules, and collects all errors.
//!
//! An unusable value is replaced by its default while the rest is checked. The error prevents the result from being
//! used.

use std::collections::BTreeMap;

use concord_model::Uuid;
use concord_model::intention::Action;
use concord_model::proxy::Settings;
use concord_syntax::same_key;

use crate::diagnostic::Diagnostic;
use crate::flags::AgentFlags;
use crate::host::Host;
use crate::interfaces::Interfaces;
use crate::layer::Origins;
use crate::raw::{Raw, Telemetry};
use crate::section::{
    AclSection, Archives, CLUSTER_ID, Config, ConnectSection, Definitions, DownPolicy, Facility,
    FilterSection, LOG_ROTATE_AFTER, Level, LogFileSection, LogSection, SealingSection, TelemetrySection,
    TokensSection,
};

mod agent;
mod definitions;
mod dns;
mod entries;
mod listen;
mod tls;

/// Collects errors while the sections are built.
pub(crate) struct Resolver<'a> {
    pub(crate) origins: &'a Origins,
    pub(crate) found: Vec<Diagnostic>,
    pub(crate) dev: bool,
    /// Whether everything that was written could be parsed. If not, a missing or inconsistent value is not reported,
    /// because the unreadable part may contain it.
    pub(crate) whole: bool,
    /// The machine's addresses.
    pub(crate) interfaces: &'a Interfaces,
}

/// The settings that `-dev` applies before any file. The table of knobs has its other changes.
pub(crate) fn dev_preset() -> Raw {
    let mut raw = Raw {
        bind_addr: Some("127.0.0.1".to_owned()),
        log_level: Some("DEBUG".to_owned()),
        server: Some(true),
        ..Raw::default()
    };
    raw.performance.raft_multiplier = Some(1);
    raw.ports.grpc = Some(8502);
    raw
}

impl Resolver<'_> {
    pub(crate) fn config(
        &mut self,
        raw: Raw,
        definitions: Definitions,
        entries: Vec<concord_model::entry::Entry>,
        flags: &AgentFlags,
        host: &Host,
    ) -> Config {
        let clients = self.client_addresses(raw.client_addr.as_deref());
        let tls = self.tls(&raw);
        let mut config = Config {
            agent: self.agent(&raw, flags, host),
            server: self.server(&raw, entries, flags),
            http: self.http(&raw, &clients, flags),
            grpc: self.grpc(&raw, &clients, flags, &tls),
            https: self.https(&raw, &clients, flags),
            grpc_tls: self.grpc_tls(&raw, &clients, flags, &tls),
            dns: self.dns(&raw, &clients, flags),
            tls,
            clients: self.clients(&raw),
            unix_sockets: self.unix_sockets(&raw),
            acl: self.acl(&raw),
            connect: self.connect(&raw),
            sealing: self.sealing(&raw),
            telemetry: self.telemetry(&raw.telemetry),
            log: self.log(&raw),
            definitions,
        };
        self.yield_grpc(&mut config);
        self.check_ports(&config);
        self.check_tls(&config, &raw);
        config
    }

    /// Reports an error at the position of a key.
    pub(crate) fn fail(&mut self, key: &str, message: impl Into<String>) {
        let origin = self.origins.of(key);
        self.found.push(Diagnostic::error(origin, key, message));
    }

    /// Reports an error about a missing key, or about keys that conflict.
    pub(crate) fn conflict(&mut self, key: &str, message: impl Into<String>) {
        if self.whole {
            self.fail(key, message);
        }
    }

    /// Reports a warning at the position of a key.
    pub(crate) fn warn(&mut self, key: &str, message: impl Into<String>) {
        let origin = self.origins.of(key);
        self.found.push(Diagnostic::warning(origin, key, message));
    }

    fn acl(&mut self, raw: &Raw) -> AclSection {
        let acl = &raw.acl;
        let down = acl.down_policy.as_deref().unwrap_or("extend-cache");
        let down_policy = DownPolicy::parse(down).unwrap_or_else(|| {
            // With `allow`, whoever disconnected the agent from its servers would get every right.
            let text = match down {
                "allow" => "not available: acl.down_policy allow would open everything while no server answers; use extend-cache, async-cache or deny".to_owned(),
                _ => format!("{down:?} is not a policy; use deny, extend-cache or async-cache"),
            };
            self.fail("acl.down_policy", text);
            DownPolicy::Deny
        });
        AclSection {
            default_policy: self
                .action("acl.default_policy", acl.default_policy.as_deref().unwrap_or("allow"))
                .unwrap_or(Action::Deny),
            down_policy,
            initial_management: acl.tokens.initial_management.clone(),
            tokens: TokensSection::plain(&acl.tokens.plain),
            default_intention_policy: raw
                .default_intention_policy
                .as_deref()
                .filter(|text| !text.is_empty())
                .and_then(|text| self.action("default_intention_policy", text)),
            ..AclSection::plain(&acl.plain)
        }
    }

    fn action(&mut self, key: &str, text: &str) -> Option<Action> {
        let action = Action::parse(text);
        if action.is_none() {
            self.fail(key, format!("{text:?} is not a policy; use allow or deny"));
        }
        action
    }

    fn connect(&mut self, raw: &Raw) -> ConnectSection {
        let given = raw.connect.ca_provider.clone().filter(|provider| !provider.is_empty());
        let provider = given.unwrap_or_else(|| "consul".to_owned());
        match provider.as_str() {
            "consul" => {}
            "vault" | "aws-pca" => {
                self.fail(
                    "connect.ca_provider",
                    format!("not available yet: CA provider {provider}; use consul"),
                );
            }
            other => {
                self.fail("connect.ca_provider", format!("{other:?} is not a valid CA provider; use consul"));
            }
        }
        let mut settings = raw.connect.ca_config.clone();
        let cluster_id = self.cluster_id(&mut settings);
        let ca_settings = concord_api::connect::CaSettings::normalise(settings);
        ConnectSection {
            ca_provider: provider,
            cluster_id,
            ca_settings: ca_settings.unwrap_or_else(|faults| {
                for fault in faults.faults {
                    self.fail("connect.ca_config", format!("connect.ca_config: {fault}"));
                }
                Default::default()
            }),
            ..ConnectSection::plain(&raw.connect.plain)
        }
    }

    /// The cluster id. It is no setting of the CA provider, although it is written among them.
    fn cluster_id(&mut self, settings: &mut Settings) -> Option<Uuid> {
        let key = settings.keys().find(|key| same_key(key, CLUSTER_ID)).cloned()?;
        let id = match settings.remove(&key)? {
            serde_json::Value::String(text) => Uuid::parse(&text).map_err(|error| error.to_string()),
            other => Err(format!("{other} is not a text")),
        };
        let key = "connect.ca_config";
        id.map_err(|error| self.fail(key, format!("connect.ca_config.{CLUSTER_ID}: {error}"))).ok()
    }

    fn sealing(&mut self, raw: &Raw) -> SealingSection {
        let own = SealingSection::plain(&raw.sealing);
        if own.key_file.is_some() && own.key_env.is_some() {
            self.conflict(
                "sealing.key_file",
                "sealing.key_file and sealing.key_env exclude each other; keep one",
            );
        }
        if let (Some(file), Some(dir)) = (&own.key_file, &raw.data_dir)
            && std::path::Path::new(file).starts_with(dir)
        {
            let text = format!(
                "{file:?} is inside data_dir, so whoever steals the data has the key too; keep it elsewhere"
            );
            self.warn("sealing.key_file", text);
        }
        own
    }

    fn log(&mut self, raw: &Raw) -> LogSection {
        let text = raw.log_level.as_deref().unwrap_or("INFO");
        let level = Level::parse(text).unwrap_or_else(|| {
            self.fail("log_level", format!("{text:?} is not a level; use TRACE, DEBUG, INFO, WARN or ERROR"));
            Level::Info
        });
        let (file, syslog) = (self.log_file(raw), self.syslog(raw));
        LogSection { level, file, syslog, ..LogSection::plain(&raw.log) }
    }

    fn log_file(&mut self, raw: &Raw) -> Option<LogFileSection> {
        let path = raw.log_file.clone().filter(|path| !path.is_empty());
        let rotation = [
            ("log_rotate_bytes", raw.log_rotate_bytes.is_some_and(|bytes| bytes != 0)),
            ("log_rotate_duration", raw.log_rotate_duration.is_some_and(|time| !time.is_zero())),
            ("log_rotate_max_files", raw.log_rotate_max_files.is_some_and(|files| files != 0)),
        ];
        if path.is_none()
            && let Some((key, _)) = rotation.into_iter().find(|(_, asks)| *asks)
        {
            self.warn(key, format!("{key} has no effect: there is no log_file"));
        }
        let files = raw.log_rotate_max_files.unwrap_or(0);
        Some(LogFileSection {
            path: path?,
            // 0 and below mean no limit, as in Consul.
            rotate_bytes: raw
                .log_rotate_bytes
                .and_then(|bytes| u64::try_from(bytes).ok())
                .filter(|bytes| *bytes > 0),
            rotate_after: raw.log_rotate_duration.filter(|time| !time.is_zero()).unwrap_or(LOG_ROTATE_AFTER),
            keep: match usize::try_from(files) {
                Ok(0) => Archives::All,
                Ok(most) => Archives::Newest(most),
                Err(_) => Archives::None,
            },
        })
    }

    fn syslog(&mut self, raw: &Raw) -> Option<Facility> {
        let text = raw.syslog_facility.as_deref().filter(|text| !text.is_empty()).unwrap_or("LOCAL0");
        let facility = Facility::parse(text).unwrap_or_else(|| {
            let text = format!("{text:?} is not a facility; use one of {}", Facility::names());
            self.fail("syslog_facility", format!("syslog_facility: {text}"));
            Facility::default()
        });
        raw.enable_syslog.unwrap_or(false).then_some(facility)
    }

    fn telemetry(&mut self, raw: &Telemetry) -> TelemetrySection {
        let Telemetry { plain, metrics_prefix, prefix_filter } = raw;
        let mut beginnings = BTreeMap::new();
        for text in prefix_filter {
            let rule = text.strip_prefix('+').map(|begin| (begin, true));
            match rule.or_else(|| text.strip_prefix('-').map(|begin| (begin, false))) {
                Some((begin, kept)) if !begin.is_empty() => {
                    beginnings.insert(begin.to_owned(), kept);
                }
                Some(_) | None => {
                    let text = format!(
                        "telemetry.prefix_filter: {text:?} says nothing and is left out; write +name or -name"
                    );
                    self.warn("telemetry.prefix_filter", text);
                }
            }
        }
        if metrics_prefix.as_deref() == Some("") {
            self.warn(
                "telemetry.metrics_prefix",
                "telemetry.metrics_prefix is empty, and consul holds; names begin with something",
            );
        }
        let prefix = metrics_prefix.as_deref().filter(|prefix| !prefix.is_empty()).unwrap_or("consul");
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        if !prefix.chars().all(allowed) {
            let text = format!("{prefix:?} begins no name of a metric; use letters, digits, _, - and .");
            self.fail("telemetry.metrics_prefix", text);
        }
        TelemetrySection {
            metrics_prefix: prefix.to_owned(),
            filter: FilterSection { beginnings, ..FilterSection::plain(plain) },
        }
    }
}
