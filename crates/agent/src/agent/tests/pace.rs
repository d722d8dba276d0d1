//! Tests of how often the catalog is compared with the local registrations, and how soon a failed request is
//! repeated.

use std::time::Duration;

use concord_rpc::RpcError;

use crate::testing::{Bench, open};

const COMPARED: &str = "NodeDump";
const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn the_catalog_is_compared_every_one_to_two_minutes() {
    let bench = Bench::with(open(), |config| config.dev = false);
    bench.world.clock.sleep(HOUR).await;
    let compared = bench.servers.asked(COMPARED);
    assert!((30..=61).contains(&compared), "{compared}");
}

#[tokio::test(start_paused = true)]
async fn a_catalog_that_does_not_answer_is_asked_again_after_200_ms_doubling_to_30_s() {
    let bench = Bench::with(open(), |config| config.dev = false);
    bench.servers.change(|catalog| catalog.fault = Some(RpcError::NoLeader));
    // Each pause is in the upper half of its range: 0.1 to 0.2 s, 0.2 to 0.4 s, and so on.
    bench.world.clock.sleep(Duration::from_millis(6_300)).await;
    let asked = bench.servers.asked(COMPARED);
    assert!((6..=7).contains(&asked), "{asked} in the first six seconds");
    bench.world.clock.sleep(Duration::from_secs(120)).await;
    let before = bench.servers.asked(COMPARED);
    bench.world.clock.sleep(HOUR).await;
    let later = bench.servers.asked(COMPARED) - before;
    assert!((120..=240).contains(&later), "{later} in an hour: every 15 to 30 s");
}
