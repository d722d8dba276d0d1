//! The environment. It is read once when the process starts, and passed on from there.

use std::collections::BTreeMap;

use super::flag::Origin;

/// Prefix of our own variables, which win.
const OWN: &str = "CONCORD_";
/// Prefix of Consul's variables, which are also accepted.
const CONSUL: &str = "CONSUL_";
/// Other variables that are read, each for one purpose.
const OTHERS: [&str; 8] = [
    "CONNECT_PROXY_ID",
    "CONNECT_SIDECAR_FOR",
    "COMP_LINE",
    "COMP_POINT",
    "HOME",
    "NOTIFY_SOCKET",
    "NO_COLOR",
    "SSL_CERT_FILE",
];

/// The variables that the program uses. The rest of the environment is not kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Env {
    variables: BTreeMap<String, String>,
}

/// A variable that is set.
pub(crate) struct FoundVariable<'a> {
    pub(crate) name: String,
    pub(crate) value: &'a str,
    pub(crate) origin: Origin,
}

impl Env {
    /// The variables among `all` that the program uses. Names and values that are not UTF-8 are ignored.
    pub(crate) fn new<K: Into<String>, V: Into<String>>(all: impl IntoIterator<Item = (K, V)>) -> Self {
        let all = all.into_iter().map(|(name, value)| (name.into(), value.into()));
        let variables = all.filter(|(name, value): &(String, String)| {
            let known = name.starts_with(OWN) || name.starts_with(CONSUL) || OTHERS.contains(&name.as_str());
            known && !value.is_empty()
        });
        Self { variables: variables.collect() }
    }

    /// The environment of the process.
    pub(crate) fn of_process() -> Self {
        Self::new(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))),
        )
    }

    /// `CONCORD_<name>`, or else `CONSUL_<name>`. An empty variable counts as missing.
    pub(crate) fn product(&self, name: &str) -> Option<FoundVariable<'_>> {
        self.find(format!("{OWN}{name}"), Origin::ConcordVariable)
            .or_else(|| self.find(format!("{CONSUL}{name}"), Origin::ConsulVariable))
    }

    /// The variable with exactly this name.
    pub(crate) fn exact(&self, name: &str) -> Option<FoundVariable<'_>> {
        self.find(name.to_owned(), Origin::ConsulVariable)
    }

    fn find(&self, name: String, origin: Origin) -> Option<FoundVariable<'_>> {
        let value = self.variables.get(&name)?;
        Some(FoundVariable { name, value, origin })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_variables_win_over_consuls() {
        let env =
            Env::new([("CONSUL_HTTP_ADDR", "old"), ("CONCORD_HTTP_ADDR", "new"), ("CONSUL_CACERT", "ca")]);
        assert_eq!(env.product("HTTP_ADDR").map(|found| found.value), Some("new"));
        assert_eq!(env.product("CACERT").map(|found| found.value), Some("ca"));
    }

    #[test]
    fn empty_and_foreign_variables_are_as_good_as_none() {
        let env = Env::new([("CONCORD_HTTP_ADDR", ""), ("CONSUL_HTTP_ADDR", "old"), ("PATH", "/bin")]);
        assert_eq!(env.product("HTTP_ADDR").map(|found| found.value), Some("old"));
        assert!(env.exact("PATH").is_none());
    }
}
