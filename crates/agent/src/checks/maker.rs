//! One run of a check of any kind. Only this module knows all kinds.

use std::sync::Arc;
use std::time::Duration;

use concord_config::section::CheckSection;
use concord_model::catalog::CheckStatus;
use concord_model::registration::{Every, Probe};
use concord_runtime::{Clock, timeout};
use tokio::sync::Semaphore;

use super::tls::Tls;
use super::tools::Tools;
use super::{dial, http, http2, program, udp};
use crate::config::AgentConfig;
use crate::limits::{CHECK_PROGRAM_TIMEOUT, CHECK_PROGRAMS_AT_ONCE, CHECK_RUNS_AT_ONCE, CHECK_TIMEOUT};
use crate::local::{Plan, Report, Source};

/// What runs of checks need.
#[derive(Debug)]
pub(crate) struct Maker {
    pub(super) tools: Tools,
    checks: CheckSection,
    runs: Semaphore,
    programs: Semaphore,
}

impl Maker {
    pub(crate) fn new(config: &AgentConfig, clock: Arc<dyn Clock>) -> Self {
        Self {
            tools: Tools {
                clock,
                tls: Tls::new(config.check_authorities.clone()),
                service_manager: "systemctl".to_owned(),
            },
            checks: config.check_settings,
            runs: Semaphore::new(CHECK_RUNS_AT_ONCE),
            programs: Semaphore::new(CHECK_PROGRAMS_AT_ONCE),
        }
    }

    /// Makes the next run read the authorities for check targets again.
    pub(crate) fn forget_authorities(&self) {
        self.tools.tls.forget_authorities();
    }

    /// Why a registered check can never run.
    pub(super) fn obstacle(&self, plan: &Plan) -> Option<String> {
        if plan.probe.is_program()
            && let Some(refused) = refused_program(self.checks, plan.source)
        {
            return Some(refused.to_owned());
        }
        let docker = matches!(plan.probe, Probe::Docker { .. });
        docker.then(|| {
            "not available yet: Docker checks; check the service over the network, or by a script".to_owned()
        })
    }

    /// Runs a check once, when its turn comes. `None` if it is of a kind that the agent does not run.
    pub(super) async fn run(&self, plan: &Plan) -> Option<Report> {
        let Every { interval: _, timeout: within } = plan.probe.every()?;
        let or = |usual: Duration| if within.is_zero() { usual } else { within };
        let (within, slots) = match plan.probe {
            Probe::Script { .. } | Probe::OsService { .. } => (or(CHECK_PROGRAM_TIMEOUT), &self.programs),
            _ => (or(CHECK_TIMEOUT), &self.runs),
        };
        let _turn = slots.acquire().await.ok()?;
        let keep = plan.output_bytes_max;
        Some(match &plan.probe {
            Probe::Ttl(_) | Probe::Alias { .. } | Probe::Maintenance | Probe::Docker { .. } => return None,
            Probe::Tcp { address, tls, every: _ } => {
                let late = || format!("dial tcp {address}: i/o timeout");
                let way = if tls.is_some() { "TCP+TLS" } else { "TCP" };
                let run = async {
                    match dial::dial(&self.tools.tls, address, tls.as_ref(), &[]).await {
                        Ok(_) => {
                            Report::run(CheckStatus::Passing, format!("{way} connect {address}: Success"))
                        }
                        Err(why) => Report::run(CheckStatus::Critical, why),
                    }
                };
                self.within(within, run, late).await
            }
            Probe::Udp { address, every: _ } => udp::run(&self.tools, address, within).await,
            Probe::Http { request, every: _ } => {
                http::run(&self.tools, request, plan.via.as_deref(), within, keep).await
            }
            Probe::Grpc { address, service, tls, every: _ } => {
                let at = plan.via.as_deref().unwrap_or(address);
                let run = http2::health(&self.tools, (address, at), service, tls.as_ref());
                self.within(within, run, || http2::failure(4, "context deadline exceeded")).await
            }
            Probe::H2ping { address, tls, every: _ } => {
                let run = http2::ping(&self.tools, address, tls.as_ref());
                self.within(within, run, || "HTTP2 ping failed: context deadline exceeded".to_owned()).await
            }
            Probe::OsService { name, every: _ } => program::os_service(&self.tools, name, within, keep).await,
            Probe::Script { args, every: _ } => program::script(&self.tools, args, within, keep).await,
        })
    }

    /// The number of runs that could begin now.
    #[cfg(test)]
    pub(super) fn free_runs(&self) -> usize {
        self.runs.available_permits()
    }

    async fn within(
        &self,
        within: Duration,
        run: impl Future<Output = Report>,
        late: impl FnOnce() -> String,
    ) -> Report {
        let ran = timeout(&*self.tools.clock, within, run).await;
        ran.unwrap_or_else(|_| Report::run(CheckStatus::Critical, late()))
    }
}

/// Why the program of a check from this source may not run, in Consul's words, which tools show.
pub(crate) fn refused_program(checks: CheckSection, source: Source) -> Option<&'static str> {
    match source {
        Source::Api if !checks.script_checks => Some(
            "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true",
        ),
        Source::File if !checks.script_checks && !checks.local_script_checks => Some(
            "Scripts are disabled on this agent; to enable, configure 'enable_script_checks' or \
             'enable_local_script_checks' to true",
        ),
        Source::Api | Source::File => None,
    }
}
