//! Strict DER: a reader that accepts only one encoding of each value, and a writer.
//!
//! It supports what X.509, PKCS #8 and PKCS #10 need: tags of one byte and lengths of at most four bytes. It refuses
//! indefinite lengths, lengths with leading zeros and trailing bytes, so that no two parsers can disagree about what
//! was signed (N-57). It is not a general ASN.1 library.

pub mod time;

#[cfg(test)]
mod tests;

/// BOOLEAN.
pub const BOOLEAN: u8 = 0x01;
/// INTEGER.
pub const INTEGER: u8 = 0x02;
/// BIT STRING.
pub const BIT_STRING: u8 = 0x03;
/// OCTET STRING.
pub const OCTET_STRING: u8 = 0x04;
/// NULL.
pub const NULL: u8 = 0x05;
/// OBJECT IDENTIFIER.
pub const OID: u8 = 0x06;
/// UTF8String.
pub const UTF8_STRING: u8 = 0x0c;
/// PrintableString.
pub const PRINTABLE_STRING: u8 = 0x13;
/// IA5String.
pub const IA5_STRING: u8 = 0x16;
/// UTCTime.
pub const UTC_TIME: u8 = 0x17;
/// GeneralizedTime.
pub const GENERALIZED_TIME: u8 = 0x18;
/// SEQUENCE.
pub const SEQUENCE: u8 = 0x30;
/// SET.
pub const SET: u8 = 0x31;

/// The tag of a constructed context-specific element, which contains other elements.
pub const fn constructed(number: u8) -> u8 {
    0xa0 | number
}

/// The tag of a primitive context-specific element, which contains a value.
pub const fn primitive(number: u8) -> u8 {
    0x80 | number
}

/// Why bytes are not the expected DER.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum DerError {
    /// The bytes end before the element ends.
    #[error("the encoding ends too early")]
    Truncated,
    /// An indefinite length, or a length not written in the fewest bytes: BER, not DER.
    #[error("a length is not encoded as DER demands")]
    Length,
    /// A tag of more than one byte.
    #[error("a tag is of an unexpected form")]
    TagForm,
    /// Another element was expected here.
    #[error("expected tag {expected:#04x}, found {found:#04x}")]
    Tag {
        /// The expected tag.
        expected: u8,
        /// The tag that was found.
        found: u8,
    },
    /// Bytes follow the end of the element.
    #[error("there are bytes after the end")]
    Trailing,
    /// A value that is not valid for its type.
    #[error("a {0} is not encoded as DER demands")]
    Value(&'static str),
}

/// One element.
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    /// Its tag.
    pub tag: u8,
    /// Its contents.
    pub body: &'a [u8],
    /// Tag, length and contents.
    pub raw: &'a [u8],
}

/// Reads one element after another.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader of `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Whether all bytes have been read.
    pub fn at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Fails if bytes are left.
    pub fn end(self) -> Result<(), DerError> {
        if self.at_end() { Ok(()) } else { Err(DerError::Trailing) }
    }

    /// Reads the next element, whatever its tag.
    pub fn any(&mut self) -> Result<Element<'a>, DerError> {
        let (tag, length_at) = (*self.rest.first().ok_or(DerError::Truncated)?, 1);
        if tag & 0x1f == 0x1f {
            return Err(DerError::TagForm);
        }
        let first = *self.rest.get(length_at).ok_or(DerError::Truncated)?;
        let (length, head) = match first {
            0..=0x7f => (usize::from(first), 2),
            0x81..=0x84 => {
                let count = usize::from(first & 0x7f);
                let digits = self.rest.get(2..2 + count).ok_or(DerError::Truncated)?;
                let length = digits.iter().fold(0usize, |all, digit| (all << 8) | usize::from(*digit));
                if digits[0] == 0 || length < 0x80 {
                    return Err(DerError::Length);
                }
                (length, 2 + count)
            }
            _ => return Err(DerError::Length),
        };
        let total = head.checked_add(length).ok_or(DerError::Truncated)?;
        let raw = self.rest.get(..total).ok_or(DerError::Truncated)?;
        self.rest = &self.rest[total..];
        Ok(Element { tag, body: &raw[head..], raw })
    }

    /// Reads the next element, which must have this tag.
    pub fn element(&mut self, tag: u8) -> Result<Element<'a>, DerError> {
        match self.rest.first() {
            Some(found) if *found != tag => Err(DerError::Tag { expected: tag, found: *found }),
            _ => self.any(),
        }
    }

    /// Reads the next element, which must have this tag, and returns its contents.
    pub fn body(&mut self, tag: u8) -> Result<&'a [u8], DerError> {
        Ok(self.element(tag)?.body)
    }

    /// Reads the next element, which must have this tag, and returns a reader of its contents.
    pub fn nested(&mut self, tag: u8) -> Result<Self, DerError> {
        Ok(Self::new(self.body(tag)?))
    }

    /// Reads the next element if it has this tag, and returns its contents.
    pub fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, DerError> {
        if self.rest.first() == Some(&tag) { self.body(tag).map(Some) } else { Ok(None) }
    }

    /// Reads a BOOLEAN whose default is false and which is absent in that case.
    pub fn default_false(&mut self) -> Result<bool, DerError> {
        match self.optional(BOOLEAN)? {
            None => Ok(false),
            Some([0xff]) => Ok(true),
            Some(_) => Err(DerError::Value("BOOLEAN")),
        }
    }

    /// Reads a non-negative INTEGER and returns its bytes without a leading zero byte, which only marks the sign.
    pub fn unsigned(&mut self) -> Result<&'a [u8], DerError> {
        let bad = Err(DerError::Value("INTEGER"));
        match self.body(INTEGER)? {
            [] => bad,
            [first, ..] if first & 0x80 != 0 => bad,
            [0, second, ..] if second & 0x80 == 0 => bad,
            [0, rest @ ..] if !rest.is_empty() => Ok(rest),
            body => Ok(body),
        }
    }

    /// Reads a non-negative INTEGER below 256.
    pub fn small(&mut self) -> Result<u8, DerError> {
        match self.unsigned()? {
            [value] => Ok(*value),
            _ => Err(DerError::Value("INTEGER")),
        }
    }

    /// Reads a BIT STRING of whole bytes and returns the bytes.
    pub fn octets_in_bits(&mut self) -> Result<&'a [u8], DerError> {
        match self.body(BIT_STRING)? {
            [0, bytes @ ..] => Ok(bytes),
            _ => Err(DerError::Value("BIT STRING")),
        }
    }
}

/// A reader of the contents of the only element in `bytes`, which must have this tag. Nothing may follow the element.
pub fn only(bytes: &[u8], tag: u8) -> Result<Reader<'_>, DerError> {
    let mut reader = Reader::new(bytes);
    let inner = reader.nested(tag)?;
    reader.end()?;
    Ok(inner)
}

/// An element with this tag that contains the parts.
pub fn wrap<P: AsRef<[u8]>>(tag: u8, parts: &[P]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.as_ref().len()).sum();
    let mut out = Vec::with_capacity(length + 6);
    out.push(tag);
    let digits = length.to_be_bytes();
    let skip = digits.iter().take_while(|digit| **digit == 0).count().min(digits.len() - 1);
    match digits[skip..] {
        [one] if one < 0x80 => out.push(one),
        ref long => {
            out.push(0x80 | long.len().to_be_bytes()[size_of::<usize>() - 1]);
            out.extend_from_slice(long);
        }
    }
    for part in parts {
        out.extend_from_slice(part.as_ref());
    }
    out
}

/// A SEQUENCE of the parts.
pub fn sequence<P: AsRef<[u8]>>(parts: &[P]) -> Vec<u8> {
    wrap(SEQUENCE, parts)
}

/// An element with this tag and these contents.
pub fn value(tag: u8, body: &[u8]) -> Vec<u8> {
    wrap(tag, &[body])
}

/// A non-negative INTEGER with this big-endian value.
pub fn unsigned(bytes: &[u8]) -> Vec<u8> {
    let skip = bytes.iter().take_while(|byte| **byte == 0).count();
    match &bytes[skip..] {
        [] => value(INTEGER, &[0]),
        rest @ [first, ..] if first & 0x80 != 0 => wrap(INTEGER, &[&[0][..], rest]),
        rest => value(INTEGER, rest),
    }
}

/// A BIT STRING of whole bytes.
pub fn octets_in_bits(bytes: &[u8]) -> Vec<u8> {
    wrap(BIT_STRING, &[&[0][..], bytes])
}

/// A BIT STRING of named bits. The first bit is the highest of `bits`; trailing zeros are left out.
pub fn named_bits(bits: u16) -> Vec<u8> {
    if bits == 0 {
        return value(BIT_STRING, &[0]);
    }
    let used = 16 - bits.trailing_zeros();
    let [high, low] = bits.to_be_bytes();
    let unused = |of: u32| [(of - used).to_be_bytes()[3]];
    if used <= 8 {
        wrap(BIT_STRING, &[&unused(8)[..], &[high]])
    } else {
        wrap(BIT_STRING, &[&unused(16)[..], &[high, low]])
    }
}
