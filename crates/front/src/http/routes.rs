//! The table of endpoints: one file per area. Each file begins with its part of the table.

mod acl;
mod agent;
mod catalog;
mod certificate;
mod chain;
mod config;
mod connect;
mod gateway;
mod health;
mod intention;
mod internal;
mod nameless;
mod registration;
mod status;
mod topology;
mod unbuilt;

use super::context::Ctx;
use super::router::Router;

/// Declares endpoints with their method, path, right and function, and `add`, which puts all of them into a router.
/// So a declared endpoint cannot be left out of the router.
macro_rules! endpoints {
    ($( $(#[$doc:meta])* $name:ident: $method:ident $path:literal, $right:expr => $answer:ident; )+) => {
        $(
            $(#[$doc])*
            #[derive(Debug)]
            struct $name;

            impl crate::http::router::Endpoint<crate::http::context::Ctx> for $name {
                const METHOD: http::Method = http::Method::$method;
                const PATH: &'static str = $path;
                const RIGHT: crate::http::router::Right<crate::http::context::Ctx> = $right;

                fn answer(
                    ctx: std::sync::Arc<crate::http::context::Ctx>,
                    call: crate::http::call::Call,
                ) -> impl Future<Output = Result<crate::http::reply::Reply, crate::http::error::HttpError>> + Send {
                    $answer(ctx, call)
                }
            }
        )+

        /// Puts these endpoints into a table.
        pub(super) fn add(
            router: crate::http::router::Router<crate::http::context::Ctx>,
        ) -> crate::http::router::Router<crate::http::context::Ctx> {
            router$( .with::<$name>() )+
        }
    };
}
use endpoints;

/// All endpoints.
pub fn router() -> Router<Ctx> {
    let areas = [
        status::add,
        agent::add,
        registration::add,
        connect::add,
        catalog::add,
        health::add,
        certificate::add,
        intention::add,
        config::add,
        internal::add,
        chain::add,
        gateway::add,
        topology::add,
        acl::add,
    ];
    let empty = Router::new().with_unbuilt(unbuilt::TABLE).with_nameless(nameless::TABLE);
    areas.into_iter().fold(empty, |router, add| add(router))
}
