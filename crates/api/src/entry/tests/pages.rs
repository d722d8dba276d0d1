//! The pages of `docs/entries` compared with the code: each kind has a page, each page names all fields of its kind,
//! and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::PathBuf;

use concord_model::entry::EntryKind;
use concord_syntax::spelling::camel_case;
use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess, SeqAccess,
    Visitor,
};

use crate::entry::traced;

/// Kinds that the servers write and nobody else. They have no page.
const WRITTEN_BY_SERVERS: &[&str] = &["bound-api-gateway"];

/// Fields that any entry may have, or that say `default` only.
const SHARED: &[&str] = &["Namespace", "Partition"];

/// Texts that some field of a kind accepts: a name, a duration, a word, a number.
const TEXTS: &[&str] = &["", "x", "1s", "http", "allow", "0", "tcp", "consul"];

#[test]
fn each_kind_has_a_page_with_all_its_fields_and_no_others() {
    let mut wrong = Vec::new();
    for kind in EntryKind::ALL {
        if WRITTEN_BY_SERVERS.contains(&kind.as_str()) {
            continue;
        }
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../docs/entries/{kind}.md"));
        let Ok(page) = fs::read_to_string(&path) else {
            wrong.push(format!("{kind} has no page docs/entries/{kind}.md"));
            continue;
        };
        let told: BTreeSet<&str> = page.lines().filter_map(field_of_row).collect();
        let fields = traced(*kind);
        let untold = fields.iter().filter(|field| !covered(field, &told));
        wrong.extend(untold.map(|field| format!("{kind}: {field} has no row")));
        let unknown = told.iter().filter(|row| !known(row, &fields));
        wrong.extend(unknown.map(|row| format!("{kind}: the row {row} is about no field")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The field that a row of a page's table is about: the text in its first cell.
fn field_of_row(line: &str) -> Option<&str> {
    line.strip_prefix("| `")?.split_once('`').map(|(field, _)| field)
}

/// Whether a field has a row, contains one that has, or is meant by a row that ends in `.…`, which stands for all
/// fields below.
fn covered(field: &str, told: &BTreeSet<&str>) -> bool {
    let within = |row: &&str| row.strip_prefix(field).is_some_and(|rest| rest.starts_with(['.', '[']));
    let below = |row: &&str| row.strip_suffix(".…").is_some_and(|all| field.starts_with(all));
    told.contains(field)
        || told.iter().any(|row| within(row) || below(row))
        || SHARED.iter().any(|shared| field.rsplit('.').next() == Some(*shared))
}

/// Whether a row is about a field that there is.
fn known(row: &str, fields: &BTreeSet<String>) -> bool {
    fields.contains(row.strip_suffix(".…").unwrap_or(row))
}

/// The fields that a type reads, with the fields of its parts: `Routes`, `Routes[].Match`, …; `any` stands for a key
/// of a map.
pub(in crate::entry) fn fields_of<T: DeserializeOwned>() -> BTreeSet<String> {
    let mut walk = Walk::default();
    // A text that its field refuses is replaced by the next one, until all are accepted.
    for _ in 0..1_000 {
        let found = T::deserialize(Tracer { walk: &mut walk, at: String::new() });
        let Err(refused) = found else { return walk.fields };
        // A second name of a field.
        if refused.0.starts_with("duplicate field") {
            walk.aliases.insert(walk.key.clone());
            walk.fields.clear();
            continue;
        }
        let at = walk.last.clone();
        let next = walk.texts.entry(at.clone()).or_default();
        *next += 1;
        assert!(*next < TEXTS.len(), "{at}: no text is accepted: {refused}");
    }
    panic!("too many fields refuse texts");
}

/// What was seen so far.
#[derive(Default)]
struct Walk {
    fields: BTreeSet<String>,
    /// The text that a field is given, by its place in `TEXTS`.
    texts: BTreeMap<String, usize>,
    /// The field that was given a text last.
    last: String,
    /// The field that was named last.
    key: String,
    /// Second names of fields.
    aliases: BTreeSet<String>,
}

/// Shows a type one value for each field that it asks for.
struct Tracer<'a> {
    walk: &'a mut Walk,
    at: String,
}

#[derive(Debug)]
struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl serde::de::Error for Refused {
    fn custom<T: fmt::Display>(text: T) -> Self {
        Self(text.to_string())
    }
}

impl Tracer<'_> {
    fn text(&mut self) -> &'static str {
        self.walk.last.clone_from(&self.at);
        TEXTS[self.walk.texts.get(&self.at).copied().unwrap_or_default()]
    }
}

macro_rules! as_text {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
            visitor.visit_str(self.text())
        })*
    };
}

macro_rules! as_number {
    ($($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
            visitor.visit_u64(0)
        })*
    };
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = Refused;

    as_text! { deserialize_str deserialize_string deserialize_char deserialize_identifier }

    as_number! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    /// A type that takes anything gets a text; one that takes no text gets nothing.
    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_str(self.text())
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_bool(false)
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_f32(0.0)
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_f64(0.0)
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_bytes(&[])
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_bytes(&[])
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_seq(Once { at: Some(format!("{}[]", self.at)), walk: self.walk })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Refused> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let Self { walk, at } = self;
        visitor.visit_map(Members { left: &["any"], at, key: "", walk })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let Self { walk, at } = self;
        let paths = fields.iter().map(|field| joined(&at, field));
        walk.fields.extend(paths.filter(|path| !walk.aliases.contains(path)));
        visitor.visit_map(Members { left: fields, at, key: "", walk })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Refused> {
        Err(Refused::custom(format!("{name}: entries have no field like this")))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_unit()
    }
}

/// The path of a field, in the spelling of the API.
fn joined(at: &str, field: &str) -> String {
    let spelt = if field.starts_with(char::is_uppercase) || field == "any" {
        field.to_owned()
    } else {
        camel_case(field)
    };
    if at.is_empty() { spelt } else { format!("{at}.{spelt}") }
}

/// A list with one element.
struct Once<'a> {
    walk: &'a mut Walk,
    at: Option<String>,
}

impl<'de> SeqAccess<'de> for Once<'_> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refused> {
        let Some(at) = self.at.take() else { return Ok(None) };
        seed.deserialize(Tracer { walk: self.walk, at }).map(Some)
    }
}

/// A map with one member for each field.
struct Members<'a> {
    walk: &'a mut Walk,
    at: String,
    left: &'static [&'static str],
    key: &'static str,
}

impl<'de> MapAccess<'de> for Members<'_> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refused> {
        let Some((first, left)) = self.left.split_first() else { return Ok(None) };
        (self.key, self.left) = (first, left);
        self.walk.key = joined(&self.at, first);
        if self.walk.aliases.contains(&self.walk.key) {
            return self.next_key_seed(seed);
        }
        let key: StrDeserializer<'_, Refused> = first.into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        let at = joined(&self.at, self.key);
        seed.deserialize(Tracer { walk: self.walk, at })
    }
}
