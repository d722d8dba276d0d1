//! `agent/monitor`: streams the log while the reader has the right to read it.

use std::sync::Arc;
use std::time::Duration;

use concord_acl::Level;
use concord_config::section;
use futures::{StreamExt as _, stream};
use http::StatusCode;

use crate::http::context::Ctx;
use crate::http::router::Authorise as _;
use crate::http::{Call, HttpError, Reply};

/// How often the reader's right is checked again: the log names everything that happens.
const LOOK: Duration = Duration::from_secs(1);

pub(super) async fn monitor(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    let text = call.parameter("loglevel").filter(|text| !text.is_empty()).unwrap_or("INFO");
    let unknown = || HttpError::bad_request(format!("Unknown log level: {text}"));
    let level = section::Level::parse(text).ok_or_else(unknown)?;
    let json = call.parameter("logjson").is_some();
    let Some(log) = &ctx.log else {
        return Err(HttpError::not_available("the log of an agent that does not write one itself"));
    };
    let full = || {
        HttpError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "as many follow the log of this agent as may; end one of them and try again",
        )
    };
    let lines = Arc::clone(log).follow(level, json).ok_or_else(full)?;
    let clock = Arc::clone(ctx.agent.scope.clock());
    let token = call.token();
    let looked = stream::unfold((lines, clock.now() + LOOK), move |(mut lines, mut look)| {
        let (ctx, clock, token) = (Arc::clone(&ctx), Arc::clone(&clock), token.clone());
        async move {
            loop {
                if clock.now() >= look {
                    ctx.authorise(token.clone(), ctx.own(Level::Read)).await.ok()?;
                    look = clock.now() + LOOK;
                }
                tokio::select! {
                    biased;
                    line = lines.next() => return Some((line?, (lines, look))),
                    () = clock.sleep_until(look) => {}
                }
            }
        }
    });
    Ok(Reply::stream("text/plain; charset=utf-8", Box::pin(looked)))
}
