//! The list of wanted messages, `messages.txt`: a message on each line; after `-` what is left out of them; after `+`
//! a deprecated field that is kept; after `#` a remark.

use anyhow::{Result, bail};

/// What is generated.
#[derive(Clone, Debug, Default)]
pub(super) struct Wanted {
    /// The messages, by their full name.
    pub(super) messages: Vec<String>,
    /// Prefixes of full names: of fields, and of the types of fields, that are left out.
    left_out: Vec<String>,
    /// Full names of fields that are kept although they are deprecated.
    kept: Vec<String>,
}

impl Wanted {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let mut wanted = Self::default();
        for line in text.lines() {
            let line = line.split_once('#').map_or(line, |(line, _)| line).trim();
            let after = |sign: char| line.strip_prefix(sign).map(|name| name.trim().to_owned());
            match (after('-'), after('+')) {
                (Some(name), _) => wanted.left_out.push(name),
                (None, Some(name)) => wanted.kept.push(name),
                _ if line.is_empty() => {}
                _ if line.contains(' ') => bail!("messages.txt: {line:?} is no name of a message"),
                _ => wanted.messages.push(line.to_owned()),
            }
        }
        Ok(wanted)
    }

    /// The same, with these left out, too.
    pub(super) fn without(&self, more: Vec<String>) -> Self {
        let mut wanted = self.clone();
        wanted.left_out.extend(more);
        wanted
    }

    /// Whether a field is kept although it is deprecated.
    pub(super) fn keeps(&self, field: &str) -> bool {
        self.kept.iter().any(|kept| kept == field)
    }

    /// Whether a field, or a type, is left out.
    pub(super) fn leaves_out(&self, name: &str) -> bool {
        let begins = |prefix: &String| {
            name.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.left_out.iter().any(begins)
    }
}
