//! Tells a caller which rights it has, for a list of resources. The web interface uses it to show and hide elements.

use std::sync::Arc;

use concord_acl::{Labelled, Level, Right, Scalar};
use concord_api::decode::{self, REQUEST_DECODE_FAILED};
use concord_rpc::RpcError;
use serde::{Deserialize, Serialize};

use crate::http::context::Ctx;
use crate::http::{Call, HttpError, Reply};

/// Questions in one request; Consul documents this limit.
const QUESTIONS_MAX: usize = 64;

const SCALARS: [Scalar; 5] = [Scalar::Acl, Scalar::Keyring, Scalar::Mesh, Scalar::Operator, Scalar::Peering];

/// One question. With `Allow` it is the answer.
#[derive(Clone, Default, Deserialize, Serialize)]
#[serde(default, rename_all = "PascalCase")]
struct Question {
    resource: String,
    access: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    segment: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Answered {
    #[serde(flatten)]
    question: Question,
    allow: bool,
}

/// Answers `internal/acl/authorize`.
pub(super) async fn probe(ctx: Arc<Ctx>, call: Call) -> Result<Reply, HttpError> {
    if !ctx.agent.config.acl.enabled {
        return Err(RpcError::AclDisabled.into());
    }
    let questions: Vec<Question> = decode::body(&call.body, REQUEST_DECODE_FAILED)?;
    if questions.len() > QUESTIONS_MAX {
        let text = format!("Refusing to process more than {QUESTIONS_MAX} authorizations at once");
        return Err(HttpError::bad_request(text));
    }
    // Refuse an unknown token before any error in the questions, as in Consul.
    let caller = ctx.caller(&call).await?;
    let rights: Vec<_> = questions.iter().map(right).collect::<Result<_, _>>()?;
    let answer =
        |(question, right): (Question, Right<'static>)| Answered { question, allow: caller.may(&right) };
    let answers: Vec<Answered> = questions.into_iter().zip(rights).map(answer).collect();
    Ok(Reply::json(answers))
}

fn right(question: &Question) -> Result<Right<'static>, HttpError> {
    let Question { resource, access, segment } = question;
    let level = match access.to_ascii_lowercase().as_str() {
        "read" => Level::Read,
        "list" if resource == "key" => Level::List,
        "write" => Level::Write,
        "write-prefix" if resource == "key" => {
            return Ok(Right::Under {
                resource: Labelled::Key,
                prefix: segment.clone().into(),
                level: Level::Write,
            });
        }
        _ => {
            let text = format!("Invalid access level for {resource} resource: {access}");
            return Err(HttpError::bad_request(text));
        }
    };
    // A missing name means the empty name, not any name: a right to one thing gives no right to all.
    if let Some(labelled) = Labelled::ALL.into_iter().find(|known| known.as_str() == resource) {
        return Ok(Right::named(labelled, segment.to_owned(), level));
    }
    let scalar = SCALARS.into_iter().find(|known| known.as_str() == resource);
    let unknown = || HttpError::bad_request(format!("Invalid ACL resource requested: {resource:?}"));
    scalar.map(|scalar| Right::whole(scalar, level)).ok_or_else(unknown)
}
