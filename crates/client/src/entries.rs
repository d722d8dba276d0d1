//! Configuration entries. Their JSON depends on their kind, so callers choose the type.

use concord_api::entry_status::ConfigStatus;
use concord_api::plan::ConfigPlan;
use http::Method;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Client;
use crate::error::Error;
use crate::query::{Answer, QueryOptions};

/// Whether a write depends on the stored entry.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Cas {
    /// No condition.
    #[default]
    Always,
    /// Only if the entry was last modified at this index; 0: only if it does not exist.
    IfModifiedAt(u64),
}

impl Client {
    /// An entry.
    ///
    /// # Errors
    /// Any [`Error`]; 404 if there is none.
    pub async fn config_entry<T: DeserializeOwned>(
        &self,
        kind: &str,
        name: &str,
        options: &QueryOptions,
    ) -> Result<Answer<T>, Error> {
        self.get(&["config", kind, name], options).fetch().await
    }

    /// All entries of a kind.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn config_entries<T: DeserializeOwned>(
        &self,
        kind: &str,
        options: &QueryOptions,
    ) -> Result<Answer<Vec<T>>, Error> {
        self.get(&["config", kind], options).fetch::<Option<Vec<T>>>().await.map(Answer::or_empty)
    }

    /// Writes an entry; its body contains kind and name. Returns `false` if the `cas` condition failed.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn config_entry_write(
        &self,
        entry: &(impl Serialize + ?Sized),
        cas: Cas,
        options: &QueryOptions,
    ) -> Result<bool, Error> {
        let mut call = self.put(&["config"], options).json(entry);
        if let Cas::IfModifiedAt(index) = cas {
            call = call.parameter("cas", index.to_string());
        }
        Ok(call.fetch().await?.value)
    }

    /// What would change if these entries were written in this order. Nothing is written.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn config_plan(
        &self,
        changes: &(impl Serialize + ?Sized),
        options: &QueryOptions,
    ) -> Result<Answer<ConfigPlan>, Error> {
        self.call(Method::POST, &["config", "plan"]).options(options).json(changes).fetch().await
    }

    /// What an entry does as it stands.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn config_status(
        &self,
        kind: &str,
        name: &str,
        options: &QueryOptions,
    ) -> Result<Answer<ConfigStatus>, Error> {
        self.get(&["config", "status", kind, name], options).fetch().await
    }

    /// Deletes an entry. Returns `false` if the `cas` condition failed.
    ///
    /// # Errors
    /// Any [`Error`].
    pub async fn config_entry_delete(
        &self,
        kind: &str,
        name: &str,
        cas: Cas,
        options: &QueryOptions,
    ) -> Result<bool, Error> {
        let call = self.delete(&["config", kind, name], options);
        match cas {
            Cas::Always => call.done().await.map(|()| true),
            Cas::IfModifiedAt(index) => Ok(call.parameter("cas", index.to_string()).fetch().await?.value),
        }
    }
}
