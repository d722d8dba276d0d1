//! Turns sources and flags into configuration, in one pure function.

use crate::diagnostic::{Diagnostic, Origin, Severity};
use crate::flags::{AgentFlags, flag_of};
use crate::host::Host;
use crate::layer::{Layer, Origins};
use crate::merge::Merge;
use crate::resolve::{Resolver, dev_preset};
use crate::section::Config;
use crate::source::{Format, Source};

/// A valid configuration.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Warnings for the operator.
    pub warnings: Vec<Diagnostic>,
    origins: Origins,
}

/// Loads configuration from files, in their order, then from `-hcl` fragments, then from flags.
///
/// On failure it returns all errors of all sources, in reading order. Warnings are returned only on success.
pub fn load(sources: &[Source], flags: &AgentFlags, host: &Host) -> Result<Loaded, Vec<Diagnostic>> {
    let mut found = Vec::new();
    let mut all = Layer::default();
    if flags.dev {
        all.raw.merge(dev_preset());
    }
    let fragments = flags.hcl.iter().map(|text| Source {
        name: "-hcl".to_owned(),
        format: Some(Format::Hcl),
        bytes: text.expose().as_bytes().to_vec(),
    });
    for source in sources.iter().cloned().chain(fragments) {
        // An empty file counts as absent, as in Consul.
        if source.bytes.trim_ascii().is_empty() {
            continue;
        }
        match source.tree() {
            Ok(tree) => {
                if let Some(layer) = Layer::read(tree, &|_| source.name.clone(), &mut found) {
                    all.append(layer);
                }
            }
            Err(fault) => found.push(fault),
        }
    }
    if let Some(layer) = Layer::read(flags.tree(), &flag_of, &mut found) {
        all.append(layer);
    }
    let Layer { raw, origins, services, checks, entries } = all;
    let whole = found.iter().all(|one| one.severity != Severity::Error);
    let mut resolver =
        Resolver { origins: &origins, found, dev: flags.dev, whole, interfaces: &host.interfaces };
    let definitions = resolver.definitions(&services, &checks, raw.runs_local_scripts());
    let entries = resolver.entries(&entries);
    let config = resolver.config(raw, definitions, entries, flags, host);
    // In reading order. Errors without a source come last, after the flags.
    let mut found = resolver.found;
    let order = |name: &str| sources.iter().position(|source| source.name == name);
    let late = |name: &str| sources.len() + usize::from(name != "-hcl") + usize::from(name.is_empty());
    found.sort_by_key(|one| {
        let Origin { source, pos } = &one.origin;
        (order(source).unwrap_or_else(|| late(source)), *pos)
    });
    let (errors, warnings): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|one| one.severity == Severity::Error);
    if !errors.is_empty() {
        return Err(errors);
    }
    Ok(Loaded { config, warnings, origins })
}

impl Layer {
    fn append(&mut self, later: Self) {
        let Self { raw, origins, services, checks, entries } = later;
        self.raw.merge(raw);
        self.origins.extend(origins);
        self.services.extend(services);
        self.checks.extend(checks);
        self.entries.extend(entries);
    }
}

impl Loaded {
    /// Where a key was last written; an empty source if nobody wrote it.
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.of(key)
    }
}
