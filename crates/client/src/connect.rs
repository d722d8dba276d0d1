//! The mesh: certificates, the authorize decision, the certificate authority, intentions.

use std::collections::BTreeMap;

use concord_api::connect::{AuthorizeBody, Authorized, CaConfiguration, Leaf, Roots};
use concord_api::explain::{IntentionExplain, RequestExplain};
use concord_api::intention::{Intention, IntentionCheck};
use http::Method;
use serde::Serialize;

use crate::Client;
use crate::error::Error;
use crate::query::{Answer, QueryOptions};

const EXACT: [&str; 3] = ["connect", "intentions", "exact"];

impl Client {
    /// Whether the owner of a client certificate may open a connection to a service.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn connect_authorize(
        &self,
        question: &AuthorizeBody<'_>,
        options: &QueryOptions,
    ) -> Result<Answer<Authorized>, Error> {
        self.call(Method::POST, &["agent", "connect", "authorize"])
            .options(options)
            .json(question)
            .fetch()
            .await
    }

    /// The trusted roots from the agent's cache.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn connect_roots(&self, options: &QueryOptions) -> Result<Answer<Roots>, Error> {
        self.get(&["agent", "connect", "ca", "roots"], options).fetch().await
    }

    /// A leaf of a service, with its private key.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn connect_leaf(&self, service: &str, options: &QueryOptions) -> Result<Answer<Leaf>, Error> {
        self.get(&["agent", "connect", "ca", "leaf", service], options).fetch().await
    }

    /// The trusted roots from the servers.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn ca_roots(&self, options: &QueryOptions) -> Result<Answer<Roots>, Error> {
        self.get(&["connect", "ca", "roots"], options).fetch().await
    }

    /// The configuration of the certificate authority.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn ca_config(&self, options: &QueryOptions) -> Result<Answer<CaConfiguration>, Error> {
        self.get(&["connect", "ca", "configuration"], options).fetch().await
    }

    /// Changes the configuration of the certificate authority. This can rotate the root.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn ca_config_set(
        &self,
        configuration: &(impl Serialize + ?Sized),
        options: &QueryOptions,
    ) -> Result<(), Error> {
        self.put(&["connect", "ca", "configuration"], options).json(configuration).done().await
    }

    /// All intentions, in order of precedence.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn intentions(&self, options: &QueryOptions) -> Result<Answer<Vec<Intention>>, Error> {
        self.get(&["connect", "intentions"], options).fetch::<Option<_>>().await.map(Answer::or_empty)
    }

    /// The intention of exactly this source and destination.
    ///
    /// # Errors
    /// Any [`Error`]; 404 if there is none.
    pub async fn intention_exact(
        &self,
        source: &str,
        destination: &str,
        options: &QueryOptions,
    ) -> Result<Answer<Intention>, Error> {
        self.get(&EXACT, options)
            .parameter("source", source)
            .parameter("destination", destination)
            .fetch()
            .await
    }

    /// Writes the intention of exactly this source and destination: a body with `Action` or `Permissions`.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn intention_write(
        &self,
        source: &str,
        destination: &str,
        body: &(impl Serialize + ?Sized),
        options: &QueryOptions,
    ) -> Result<(), Error> {
        let call =
            self.put(&EXACT, options).parameter("source", source).parameter("destination", destination);
        call.json(body).done().await
    }

    /// Deletes the intention of exactly this source and destination. It need not exist.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn intention_delete(
        &self,
        source: &str,
        destination: &str,
        options: &QueryOptions,
    ) -> Result<(), Error> {
        let call =
            self.delete(&EXACT, options).parameter("source", source).parameter("destination", destination);
        call.done().await
    }

    /// An intention of the older API with ids.
    ///
    /// # Errors
    /// Any [`Error`]; 404 if there is none.
    pub async fn intention_by_id(
        &self,
        id: &str,
        options: &QueryOptions,
    ) -> Result<Answer<Intention>, Error> {
        self.get(&["connect", "intentions", id], options).fetch().await
    }

    /// Creates an intention with the older API: it gets an id and may have its own metadata.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn intention_create(
        &self,
        body: &(impl Serialize + ?Sized),
        options: &QueryOptions,
    ) -> Result<(), Error> {
        self.call(Method::POST, &["connect", "intentions"]).options(options).json(body).done().await
    }

    /// Changes an intention of the older API with ids.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn intention_update_by_id(
        &self,
        id: &str,
        body: &(impl Serialize + ?Sized),
        options: &QueryOptions,
    ) -> Result<(), Error> {
        self.put(&["connect", "intentions", id], options).json(body).done().await
    }

    /// Deletes an intention of the older API with ids.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn intention_delete_by_id(&self, id: &str, options: &QueryOptions) -> Result<(), Error> {
        self.delete(&["connect", "intentions", id], options).done().await
    }

    /// The intentions for services, `by` `source` or `destination`, under the names as given.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn intention_match(
        &self,
        by: &str,
        names: &[&str],
        options: &QueryOptions,
    ) -> Result<Answer<BTreeMap<String, Vec<Intention>>>, Error> {
        let mut call = self.get(&["connect", "intentions", "match"], options).parameter("by", by);
        for name in names {
            call = call.parameter("name", *name);
        }
        let answer: Answer<Option<BTreeMap<String, Option<Vec<Intention>>>>> = call.fetch().await?;
        let Answer { value, meta } = answer.or_empty();
        let value = value.into_iter().map(|(name, found)| (name, found.unwrap_or_default())).collect();
        Ok(Answer { value, meta })
    }

    /// Whether a source may open a connection to a destination.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn intention_check(
        &self,
        source: &str,
        destination: &str,
        options: &QueryOptions,
    ) -> Result<Answer<IntentionCheck>, Error> {
        let call = self.get(&["connect", "intentions", "check"], options);
        call.parameter("source", source).parameter("destination", destination).fetch().await
    }

    /// Why a source may or may not open a connection to a destination, and which change would reverse that.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn intention_explain(
        &self,
        source: &str,
        destination: &str,
        options: &QueryOptions,
    ) -> Result<Answer<IntentionExplain>, Error> {
        let call = self.get(&["connect", "intentions", "explain"], options);
        call.parameter("source", source).parameter("destination", destination).fetch().await
    }

    /// Why a request is allowed or denied. The parameters describe it: `method`, `path`, `header`, `claims`.
    pub async fn request_explain(
        &self,
        source: &str,
        destination: &str,
        parameters: &[(&str, String)],
        options: &QueryOptions,
    ) -> Result<Answer<RequestExplain>, Error> {
        let call = self.get(&["connect", "intentions", "explain"], options);
        let mut call = call.parameter("source", source).parameter("destination", destination);
        for (name, value) in parameters {
            call = call.parameter(name, value.as_str());
        }
        call.fetch().await
    }
}
