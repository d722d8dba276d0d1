//! Random meshes, small enough that the rules interact.

use concord_model::intention::{
    Action, Decision, Destination, JwtProviderRequirement, JwtRequirement, Permission, ServiceIntentions,
    Source, SourceIntention,
};
use concord_model::{Namespace, Partition, Pattern, PeerName, ServiceName, ServiceRef, Stamp};

/// A small deterministic generator (xorshift64*); one seed is one history.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        ((self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize) % n
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())].clone()
    }
}

/// The names in a random mesh.
pub(crate) struct Names {
    pub(crate) partitions: Vec<Partition>,
    pub(crate) namespaces: Vec<Namespace>,
    pub(crate) peers: Vec<Option<PeerName>>,
    pub(crate) services: Vec<ServiceName>,
    /// Also uses one name in all namespaces, which validation refuses; decisions must still respect it.
    pub(crate) unruly: bool,
}

impl Names {
    /// Uses every dimension. Some names contain others, and some contain characters of patterns.
    pub(crate) fn wide() -> Self {
        Self {
            partitions: vec![Partition::default(), Partition::parse("eu").unwrap()],
            namespaces: vec![Namespace::default(), Namespace::parse("team").unwrap()],
            peers: vec![
                None,
                None,
                Some(PeerName::parse("east").unwrap()),
                Some(PeerName::parse("eu").unwrap()),
            ],
            services: ["web", "api", "web.v1", "webxv1", "Web", "a+b"]
                .map(|name| ServiceName::parse(name).unwrap())
                .to_vec(),
            unruly: true,
        }
    }

    pub(crate) fn service(&self, random: &mut Random) -> ServiceRef {
        ServiceRef {
            partition: random.pick(&self.partitions),
            namespace: random.pick(&self.namespaces),
            peer: random.pick(&self.peers),
            name: random.pick(&self.services),
        }
    }

    /// Usually a service of our own cluster, as destinations are.
    pub(crate) fn callee(&self, random: &mut Random) -> ServiceRef {
        let service = self.service(random);
        if random.one_in(16) { service } else { ServiceRef { peer: None, ..service } }
    }

    /// All services there can be in our own cluster.
    pub(crate) fn universe(&self) -> Vec<ServiceRef> {
        let mut all = Vec::new();
        for partition in &self.partitions {
            for namespace in &self.namespaces {
                for name in &self.services {
                    let (partition, namespace) = (partition.clone(), namespace.clone());
                    all.push(ServiceRef { partition, namespace, peer: None, name: name.clone() });
                }
            }
        }
        all
    }

    fn patterns(&self, random: &mut Random) -> (Pattern<Namespace>, Pattern<ServiceName>) {
        let namespace = random.pick(&self.namespaces);
        let name = random.pick(&self.services);
        match random.below(8) {
            0 if self.unruly => (Pattern::Any, Pattern::Exact(name)),
            0..=3 => (Pattern::Exact(namespace), Pattern::Exact(name)),
            4 | 5 => (Pattern::Exact(namespace), Pattern::Any),
            _ => (Pattern::Any, Pattern::Any),
        }
    }

    pub(crate) fn source(&self, random: &mut Random) -> Source {
        let (namespace, name) = self.patterns(random);
        Source { partition: random.pick(&self.partitions), namespace, peer: random.pick(&self.peers), name }
    }

    pub(crate) fn destination(&self, random: &mut Random) -> Destination {
        let (namespace, name) = self.patterns(random);
        Destination { partition: random.pick(&self.partitions), namespace, name }
    }

    /// Entries for different destinations, each source at most once in an entry.
    pub(crate) fn entries(
        &self,
        random: &mut Random,
        count: usize,
        sources_max: usize,
    ) -> Vec<ServiceIntentions> {
        let mut entries: Vec<ServiceIntentions> = Vec::new();
        for _ in 0..count {
            let destination = self.destination(random);
            if entries.iter().any(|entry| entry.destination == destination) {
                continue;
            }
            let mut sources: Vec<SourceIntention> = Vec::new();
            for _ in 0..=random.below(sources_max) {
                let source = self.source(random);
                if !sources.iter().any(|one| one.source == source) {
                    sources.push(intention(source, decision(random)));
                }
            }
            let jwt = random.one_in(12).then(requirement);
            entries.push(ServiceIntentions { jwt, ..entry(destination, sources) });
        }
        entries
    }
}

pub(crate) fn action(random: &mut Random) -> Action {
    if random.one_in(2) { Action::Allow } else { Action::Deny }
}

fn decision(random: &mut Random) -> Decision {
    if random.one_in(6) {
        Decision::Requests(vec![Permission { action: action(random), http: None, jwt: None }])
    } else {
        Decision::Connection(action(random))
    }
}

pub(crate) fn requirement() -> JwtRequirement {
    JwtRequirement {
        providers: vec![JwtProviderRequirement { name: "idp".to_owned(), verify_claims: vec![] }],
    }
}

pub(crate) fn intention(source: Source, decision: Decision) -> SourceIntention {
    SourceIntention { source, decision, description: String::new(), legacy: None }
}

pub(crate) fn entry(destination: Destination, sources: Vec<SourceIntention>) -> ServiceIntentions {
    ServiceIntentions { destination, sources, jwt: None, meta: [].into(), stamp: Stamp::default() }
}
