//! Tokens and policies.

use concord_api::acl::{Policy, PolicyStub, Token, TokenExpanded};
use serde::Serialize;

use crate::Client;
use crate::error::Error;
use crate::query::{Answer, QueryOptions};

impl Client {
    /// Creates the first token; this works only once. `secret` may be chosen by the caller; if empty, it is
    /// generated.
    ///
    /// # Errors
    /// Any [`Error`]; 403 if the ACL system was bootstrapped already.
    pub async fn acl_bootstrap(&self, secret: &str, options: &QueryOptions) -> Result<Answer<Token>, Error> {
        let mut call = self.put(&["acl", "bootstrap"], options);
        if !secret.is_empty() {
            call = call.json(&Bootstrap { bootstrap_secret: secret });
        }
        call.fetch().await
    }

    /// All tokens.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn acl_tokens(&self, options: &QueryOptions) -> Result<Answer<Vec<Token>>, Error> {
        self.get(&["acl", "tokens"], options).fetch::<Option<_>>().await.map(Answer::or_empty)
    }

    /// A token by its accessor.
    ///
    /// # Errors
    /// Any [`Error`]; 404 or 403 if there is none.
    pub async fn acl_token(&self, accessor: &str, options: &QueryOptions) -> Result<Answer<Token>, Error> {
        self.get(&["acl", "token", accessor], options).fetch().await
    }

    /// A token by its accessor, with everything that decides its rights.
    ///
    /// # Errors
    /// Any [`Error`]; 404 or 403 if there is none.
    pub async fn acl_token_expanded(
        &self,
        accessor: &str,
        options: &QueryOptions,
    ) -> Result<Answer<TokenExpanded>, Error> {
        self.get(&["acl", "token", accessor], options).parameter("expanded", "true").fetch().await
    }

    /// The token of the request itself.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn acl_token_self(&self, options: &QueryOptions) -> Result<Answer<Token>, Error> {
        self.get(&["acl", "token", "self"], options).fetch().await
    }

    /// Creates a token.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn acl_token_create(
        &self,
        token: &(impl Serialize + ?Sized),
        options: &QueryOptions,
    ) -> Result<Answer<Token>, Error> {
        self.put(&["acl", "token"], options).json(token).fetch().await
    }

    /// Replaces the content of a token.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn acl_token_update(
        &self,
        accessor: &str,
        token: &(impl Serialize + ?Sized),
        options: &QueryOptions,
    ) -> Result<Answer<Token>, Error> {
        self.put(&["acl", "token", accessor], options).json(token).fetch().await
    }

    /// Creates a copy of a token. The description is copied unless one is given.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn acl_token_clone(
        &self,
        accessor: &str,
        description: &str,
        options: &QueryOptions,
    ) -> Result<Answer<Token>, Error> {
        self.put(&["acl", "token", accessor, "clone"], options).json(&Described { description }).fetch().await
    }

    /// Deletes a token.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn acl_token_delete(&self, accessor: &str, options: &QueryOptions) -> Result<(), Error> {
        self.delete(&["acl", "token", accessor], options).done().await
    }

    /// All policies, without their rules.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn acl_policies(&self, options: &QueryOptions) -> Result<Answer<Vec<PolicyStub>>, Error> {
        self.get(&["acl", "policies"], options).fetch::<Option<_>>().await.map(Answer::or_empty)
    }

    /// A policy by its id.
    ///
    /// # Errors
    /// Any [`Error`]; 404 if there is none.
    pub async fn acl_policy(&self, id: &str, options: &QueryOptions) -> Result<Answer<Policy>, Error> {
        self.get(&["acl", "policy", id], options).fetch().await
    }

    /// A policy by its name.
    ///
    /// # Errors
    /// Any [`Error`]; 404 if there is none.
    pub async fn acl_policy_by_name(
        &self,
        name: &str,
        options: &QueryOptions,
    ) -> Result<Answer<Policy>, Error> {
        self.get(&["acl", "policy", "name", name], options).fetch().await
    }

    /// Creates a policy.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn acl_policy_create(
        &self,
        policy: &(impl Serialize + ?Sized),
        options: &QueryOptions,
    ) -> Result<Answer<Policy>, Error> {
        self.put(&["acl", "policy"], options).json(policy).fetch().await
    }

    /// Replaces the content of a policy.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn acl_policy_update(
        &self,
        id: &str,
        policy: &(impl Serialize + ?Sized),
        options: &QueryOptions,
    ) -> Result<Answer<Policy>, Error> {
        self.put(&["acl", "policy", id], options).json(policy).fetch().await
    }

    /// Deletes a policy. Tokens lose its rights.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn acl_policy_delete(&self, id: &str, options: &QueryOptions) -> Result<(), Error> {
        self.delete(&["acl", "policy", id], options).done().await
    }
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Bootstrap<'a> {
    bootstrap_secret: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Described<'a> {
    description: &'a str,
}
