//! Counts the bytes of a message that has not arrived whole, in a request that is a stream of messages.

/// The prefix of each message: whether it is compressed, and its length.
pub(super) const PREFIX_BYTES: usize = 5;

/// How much of a message has arrived.
#[derive(Debug, Default)]
pub(super) struct Messages {
    prefix: [u8; PREFIX_BYTES],
    /// Bytes of the prefix that have arrived.
    begun: usize,
    /// Bytes of the message that have not.
    left: usize,
    /// Bytes of prefix and message that have.
    open: usize,
}

impl Messages {
    /// Takes bytes that arrived. Returns how many of them, and of those before, belong to a message that is not whole.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) -> usize {
        while let Some(first) = bytes.first() {
            if self.begun < PREFIX_BYTES {
                self.prefix[self.begun] = *first;
                (self.begun, self.open) = (self.begun + 1, self.open + 1);
                bytes = &bytes[1..];
                let [_, length @ ..] = self.prefix;
                self.left = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
            } else {
                let own = self.left.min(bytes.len());
                (self.left, self.open) = (self.left - own, self.open + own);
                bytes = &bytes[own..];
            }
            if self.begun == PREFIX_BYTES && self.left == 0 {
                *self = Self::default();
            }
        }
        self.open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(bytes: u8) -> Vec<u8> {
        [vec![0, 0, 0, 0, bytes], vec![7; bytes.into()]].concat()
    }

    #[test]
    fn only_what_is_not_whole_counts() {
        let all = [message(3), message(0), message(200)].concat();
        for step in 1..all.len() {
            let mut messages = Messages::default();
            let mut seen = 0;
            for part in all.chunks(step) {
                seen += part.len();
                let whole = [0, 8, 13].into_iter().filter(|end| *end <= seen).max().unwrap();
                let open = if seen == all.len() { 0 } else { seen - whole };
                assert_eq!(messages.pass(part), open, "{seen} bytes in parts of {step}");
            }
        }
    }
}
