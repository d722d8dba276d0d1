//! Discovery chains.

use std::sync::Arc;

use concord_mesh::chain::{ChainFault, CompiledChain, Request, VirtualIps, compile, gather};
use concord_model::ServiceRef;
use concord_rpc::RpcError;
use concord_rpc::request::ReadChain;

use crate::reading::Reading;

pub(crate) fn read_chain(
    reading: &mut Reading<'_>,
    request: &ReadChain,
) -> Result<Arc<CompiledChain>, RpcError> {
    let ReadChain { service, datacenter, overrides } = request.clone();
    let roots =
        reading.reader.ca_roots().ok_or_else(|| RpcError::CaNotReady("it has no root yet".to_owned()))?;
    let request = Request {
        datacenter: datacenter.unwrap_or_else(|| reading.config.datacenter.clone()),
        trust_domain: roots.trust_domain.clone(),
        overrides,
        virtual_ips: virtual_ips(reading, &service),
        service,
    };
    let gathered =
        gather(&request.service, |name| reading.reader.entry(name)).map_err(|fault| failed(&fault))?;
    compile(&gathered, &request).map(Arc::new).map_err(|fault| failed(&fault))
}

/// The addresses by which transparent proxies reach a service.
fn virtual_ips(reading: &mut Reading<'_>, service: &ServiceRef) -> VirtualIps {
    let Some(own) = reading.reader.virtual_address(service) else { return VirtualIps::default() };
    let manual = own.manual.iter().map(ToString::to_string).collect();
    VirtualIps { auto: vec![own.address().to_string()], manual }
}

fn failed(fault: &ChainFault) -> RpcError {
    RpcError::Rejected(format!("failed to compile discovery chain: {fault}"))
}
