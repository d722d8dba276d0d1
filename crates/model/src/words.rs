//! Settings whose value is one of a few words.

/// Defines an enumeration of the API's words. The first variant is the default, for a setting that is not set. Words
/// are read without regard to case, as in Consul.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident, $what:literal { $(#[$first_doc:meta])* $first:ident = $first_text:literal,
        $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum $name {
            $(#[$first_doc])*
            #[default]
            $first,
            $($(#[$variant_doc])* $variant,)*
        }

        impl $name {
            /// All words.
            pub const ALL: &[Self] = &[Self::$first, $(Self::$variant,)*];

            /// The text in the API.
            pub fn as_str(self) -> &'static str {
                match self {
                    Self::$first => $first_text,
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <String as ::serde::Deserialize>::deserialize(deserializer)?;
                let word = Self::ALL.iter().copied().find(|word| word.as_str().eq_ignore_ascii_case(&text));
                word.ok_or_else(|| {
                    let words = Self::ALL.iter().map(|word| word.as_str()).filter(|word| !word.is_empty());
                    $crate::words::unknown($what, &text, words)
                })
            }
        }
    };
}

pub(crate) use words;

/// The error for an unknown word. It lists the known words.
pub(crate) fn unknown<'a, E: serde::de::Error>(
    what: &str,
    text: &str,
    words: impl Iterator<Item = &'a str>,
) -> E {
    let shown: String = text.chars().take(64).collect();
    E::custom(format!("{shown:?} is not {what}; use one of {}", words.collect::<Vec<_>>().join(", ")))
}

#[cfg(test)]
mod tests {
    #![allow(unreachable_pub, reason = "the words of the model are public")]

    words! {
        /// A kind of fruit.
        Fruit, "a fruit" {
            /// Not set.
            Unsaid = "",
            /// Green or red.
            Apple = "apple",
            /// Blue.
            Plum = "plum",
        }
    }

    #[test]
    fn a_word_is_read_whatever_its_case_and_another_one_refused_with_those_there_are() {
        let read = |text: &str| serde_json::from_str::<Fruit>(text);
        assert_eq!(read("\"APPLE\"").unwrap(), Fruit::Apple);
        assert_eq!(read("\"\"").unwrap(), Fruit::default());
        assert_eq!(serde_json::to_string(&Fruit::Plum).unwrap(), "\"plum\"");
        let refused = read("\"nut\"").unwrap_err().to_string();
        assert!(refused.starts_with("\"nut\" is not a fruit; use one of apple, plum"), "{refused}");
        assert_eq!(Fruit::Unsaid.to_string(), "");
    }
}
