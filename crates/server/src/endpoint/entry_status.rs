//! What an entry does as it stands.

use concord_mesh::plan::Side;
use concord_mesh::status::{self, EntryStatus};
use concord_rpc::RpcError;
use concord_rpc::request::ReadEntryStatus;
use concord_state::ServiceScope;

use crate::endpoint::plan::with_facts;
use crate::reading::Reading;

pub(crate) fn read_entry_status(
    reading: &mut Reading<'_>,
    request: &ReadEntryStatus,
) -> Result<Option<EntryStatus>, RpcError> {
    let Some(entry) = reading.reader.entry(&request.name) else { return Ok(None) };
    let view = reading.reader.view().clone();
    let intentions = reading.reader.intentions();
    let sees = reading.caller.sees();
    let placed = reading.reader.instances(&ServiceScope::default());
    let placed = reading.keep(placed, |placed| sees.instance(&placed.node.name, &placed.service));
    let instances = placed.iter().map(|placed| (&*placed.service, &placed.node.scope));
    let side = Side { entries: &view, intentions: &intentions };
    Ok(Some(with_facts(reading, |facts| status::status(&entry, side, facts, instances))))
}
