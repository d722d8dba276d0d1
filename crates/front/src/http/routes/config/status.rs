//! The JSON form of `config/status`.

use concord_api::entry::unheeded;
use concord_api::entry_status::{BrokenChain, ConfigStatus, ListedServices, TakesPart};
use concord_mesh::status::{self, EntryStatus, Listed};

use super::plan;

/// Converts a status to its JSON form.
pub(super) fn shape(found: &EntryStatus) -> ConfigStatus {
    let EntryStatus { name, stamp, refused, chains, effects, proxies, names } = found;
    ConfigStatus {
        kind: name.kind.to_string(),
        name: name.as_str().to_owned(),
        modify_index: stamp.modify,
        accepted: refused.is_none(),
        reason: refused.clone().unwrap_or_default(),
        heeded: !unheeded(name.kind),
        chains: takes_part(chains),
        verdicts: plan::all_verdicts(&effects.verdicts),
        changes: plan::all_chains(&effects.chains),
        proxies: listed(proxies),
        names: listed(names),
    }
}

fn takes_part(chains: &status::TakesPart) -> TakesPart {
    let status::TakesPart { whole, broken, first, cut } = chains;
    let chain = |one: &status::BrokenChain| BrokenChain {
        service: one.service.to_string(),
        fault: one.fault.clone(),
    };
    TakesPart { whole: *whole, broken: *broken, complete: !cut, listed: first.iter().map(chain).collect() }
}

fn listed(services: &Listed) -> ListedServices {
    let Listed { all, first } = services;
    ListedServices { count: *all, listed: first.iter().map(ToString::to_string).collect() }
}
