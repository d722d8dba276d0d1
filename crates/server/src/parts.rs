//! The data that all parts of a server share.

use concord_rpc::RpcError;
use concord_rpc::request::Part;
use concord_runtime::{Scope, World, timeout};

use crate::ca::CaHost;
use crate::caller::Resolver;
use crate::config::ServerConfig;
use crate::leader::Duties;
use crate::leader::clock_watch::ClockWatch;
use crate::limits::LEADER_HOLD;
use crate::live::Live;
use crate::log::Log;
use crate::router::Location;
use crate::studies::Studies;
use crate::turns::Turns;

/// The data that all parts of a server share. Endpoints get only part of it: [`Reading`](crate::reading::Reading) or
/// [`Writing`](crate::writing::Writing).
pub(crate) struct Core {
    pub(crate) config: ServerConfig,
    pub(crate) world: World,
    pub(crate) scope: Scope,
    pub(crate) log: Log,
    pub(crate) live: Live,
    pub(crate) resolver: Resolver,
    pub(crate) turns: Turns,
    pub(crate) studies: Studies,
    pub(crate) ca: CaHost,
    pub(crate) clock_watch: ClockWatch,
    pub(crate) duties: Duties,
    pub(crate) location: Location,
}

impl std::fmt::Debug for Core {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Core").field("node", &self.config.node).finish_non_exhaustive()
    }
}

impl Core {
    /// Returns an error if the request belongs to a part that is switched off.
    pub(crate) fn has(&self, part: Part) -> Result<(), RpcError> {
        match part {
            Part::Acl if !self.config.acl.enabled => Err(RpcError::AclDisabled),
            Part::Connect if !self.config.ca.enabled => {
                Err(RpcError::Invalid("Connect must be enabled in order to use this endpoint".to_owned()))
            }
            Part::Always | Part::Acl | Part::Connect => Ok(()),
        }
    }

    /// Waits a short time until this server leads and has applied the log. The lease or the barrier decides later
    /// whether it still leads when a view is read.
    pub(crate) async fn lead(&self) -> Result<(), RpcError> {
        if self.scope.is_cancelled() {
            return Err(RpcError::ShuttingDown);
        }
        if self.log.leading_term().is_some() && self.duties.has_led() {
            return Ok(());
        }
        let led = timeout(&*self.world.clock, LEADER_HOLD, self.duties.leading());
        tokio::select! {
            biased;
            () = self.scope.cancelled() => Err(RpcError::ShuttingDown),
            led = led => match led {
                Ok(()) if self.log.leading_term().is_some() => Ok(()),
                Ok(()) | Err(_) => Err(RpcError::NoLeader),
            },
        }
    }
}
