//! What all messages look like, and what is within an `Any`.

use std::io::Read as _;
use std::sync::OnceLock;

use flate2::read::GzDecoder;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

pub(super) const ANY: &str = "google.protobuf.Any";

fn pool() -> &'static DescriptorPool {
    static POOL: OnceLock<DescriptorPool> = OnceLock::new();
    POOL.get_or_init(|| {
        let mut bytes = Vec::new();
        let read = GzDecoder::new(&include_bytes!("../descriptors.gz")[..]).read_to_end(&mut bytes);
        read.expect("the descriptors are those that were written");
        DescriptorPool::decode(bytes.as_slice()).expect("the descriptors are those that were written")
    })
}

pub(super) fn descriptor(name: &str) -> Option<MessageDescriptor> {
    pool().get_message_by_name(name)
}

/// The message within an `Any`, if its type is known.
pub fn unpack(any: &DynamicMessage) -> Option<DynamicMessage> {
    let url = any.get_field_by_name("type_url")?;
    let value = any.get_field_by_name("value")?;
    let own = descriptor(url.as_str()?.rsplit('/').next()?)?;
    DynamicMessage::decode(own, value.as_bytes()?.clone()).ok()
}
