//! A kind of provider whose calls a test can block or make fail, like an external CA that is slow, unreachable or busy.
//! The default kind does the calls that pass.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use concord_model::Timestamp;
use concord_model::ca::CaRoot;
use concord_model::proxy::Settings;
use concord_model::secret::SecretBytes;

use crate::provider::{
    CaChain, Call, Issue, Kind, Kinds, LeafRequest, Made, Means, ParsedSettings, Provider, ProviderError,
    SettingFault, Unreachable,
};
use crate::x509::Certificate;

/// A call of a kind or provider.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Op {
    /// A kind configures a new provider.
    Configure,
    /// A kind opens a provider from its record.
    Open,
    /// A provider makes a root, or requests or accepts an intermediate.
    Generate,
    /// A provider signs a leaf for a client.
    Sign,
    /// A provider signs a trial leaf.
    Trial,
    /// A provider signs another authority.
    CrossSign,
    /// A provider decides whether settings require a new provider.
    NeedsRotation,
    /// A provider releases its resources.
    Cleanup,
}

/// What happens to calls.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Gate {
    /// They pass.
    #[default]
    Open,
    /// They wait until the gate opens.
    Shut,
    /// This number of calls fails with this error; later calls pass.
    Failing(Unreachable, u32),
}

/// The kind, and the gates of all its providers. Clones share the gates.
#[derive(Clone, Debug)]
pub struct Gated {
    kind: Arc<dyn Kind>,
    gates: Arc<Mutex<BTreeMap<Op, State>>>,
}

#[derive(Debug, Default)]
struct State {
    gate: Gate,
    begun: usize,
    under_way: usize,
    wakers: Vec<Waker>,
}

/// A running call. It ends when this is dropped.
struct UnderWay<'a>(&'a Gated, Op);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.states().entry(self.1).or_default().under_way -= 1;
    }
}

impl Default for Gated {
    fn default() -> Self {
        Self { kind: Arc::clone(Kinds::default().default_kind()), gates: Arc::default() }
    }
}

impl Gated {
    /// The name of this kind.
    pub const NAME: &str = "gated";

    /// The kinds of a server that also has this kind.
    pub fn kinds(&self) -> Kinds {
        Kinds::default().with(Arc::new(self.clone()))
    }

    /// Sets what happens to such calls from now on.
    pub fn set(&self, op: Op, gate: Gate) {
        let mut states = self.states();
        let state = states.entry(op).or_default();
        state.gate = gate;
        for waker in state.wakers.drain(..) {
            waker.wake();
        }
    }

    /// How many such calls have begun.
    pub fn begun(&self, op: Op) -> usize {
        self.states().entry(op).or_default().begun
    }

    /// How many such calls are running.
    pub fn under_way(&self, op: Op) -> usize {
        self.states().entry(op).or_default().under_way
    }

    fn states(&self) -> MutexGuard<'_, BTreeMap<Op, State>> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn through<T>(
        &self,
        op: Op,
        call: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<T, ProviderError> {
        {
            let mut states = self.states();
            let state = states.entry(op).or_default();
            (state.begun, state.under_way) = (state.begun + 1, state.under_way + 1);
        }
        let _under_way = UnderWay(self, op);
        poll_fn(|cx| {
            let mut states = self.states();
            let state = states.entry(op).or_default();
            match state.gate {
                Gate::Shut => {
                    state.wakers.push(cx.waker().clone());
                    Poll::Pending
                }
                Gate::Failing(how, left @ 1..) => {
                    state.gate = Gate::Failing(how, left - 1);
                    Poll::Ready(Err(ProviderError::Unreachable(how)))
                }
                Gate::Open | Gate::Failing(_, 0) => Poll::Ready(Ok(())),
            }
        })
        .await?;
        call.await
    }

    async fn provider(
        &self,
        op: Op,
        call: Call<'_, Arc<dyn Provider>>,
    ) -> Result<Arc<dyn Provider>, ProviderError> {
        let own = self.through(op, call).await?;
        Ok(Arc::new(Behind { gates: self.clone(), own }))
    }
}

impl Kind for Gated {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn root_name(&self) -> &'static str {
        "Gated CA"
    }

    fn purpose(&self) -> &'static str {
        "concord gated ca"
    }

    fn parse(&self, settings: &Settings) -> Result<ParsedSettings, Vec<SettingFault>> {
        self.kind.parse(settings)
    }

    fn configure<'a>(
        &'a self,
        means: &'a Means,
        settings: &'a ParsedSettings,
    ) -> Call<'a, Arc<dyn Provider>> {
        Box::pin(self.provider(Op::Configure, self.kind.configure(means, settings)))
    }

    fn open<'a>(
        &'a self,
        means: &'a Means,
        settings: &'a ParsedSettings,
        root: &'a CaRoot,
        kept: &'a SecretBytes,
    ) -> Call<'a, Arc<dyn Provider>> {
        Box::pin(self.provider(Op::Open, self.kind.open(means, settings, root, kept)))
    }
}

/// A provider whose calls pass through the gates.
#[derive(Debug)]
struct Behind {
    gates: Gated,
    own: Arc<dyn Provider>,
}

impl Provider for Behind {
    fn chain(&self) -> Option<Arc<CaChain>> {
        self.own.chain()
    }

    fn generate_ca_chain(&self, issue: Issue) -> Call<'_, Made> {
        Box::pin(self.gates.through(Op::Generate, self.own.generate_ca_chain(issue)))
    }

    fn generate_intermediate_csr(&self) -> Call<'_, String> {
        Box::pin(self.gates.through(Op::Generate, self.own.generate_intermediate_csr()))
    }

    fn set_intermediate(&self, intermediate: Certificate, root: Certificate) -> Call<'_, ()> {
        Box::pin(self.gates.through(Op::Generate, self.own.set_intermediate(intermediate, root)))
    }

    fn sign<'a>(&'a self, request: LeafRequest<'a>, issue: Issue) -> Call<'a, Certificate> {
        let op = if request.identity.to_string().ends_with("/svc/trial") { Op::Trial } else { Op::Sign };
        Box::pin(self.gates.through(op, self.own.sign(request, issue)))
    }

    fn sign_intermediate<'a>(&'a self, csr: &'a str, issue: Issue) -> Call<'a, Certificate> {
        Box::pin(self.gates.through(Op::CrossSign, self.own.sign_intermediate(csr, issue)))
    }

    fn cross_sign_ca<'a>(&'a self, new_root: &'a Certificate, issue: Issue) -> Call<'a, Certificate> {
        Box::pin(self.gates.through(Op::CrossSign, self.own.cross_sign_ca(new_root, issue)))
    }

    fn needs_rotation<'a>(&'a self, settings: &'a ParsedSettings, now: Timestamp) -> Call<'a, bool> {
        Box::pin(self.gates.through(Op::NeedsRotation, self.own.needs_rotation(settings, now)))
    }

    fn reconfigure(&self, settings: &ParsedSettings) {
        self.own.reconfigure(settings);
    }

    fn cleanup(&self) -> Call<'_, ()> {
        Box::pin(self.gates.through(Op::Cleanup, self.own.cleanup()))
    }
}
