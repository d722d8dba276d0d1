//! What the writer writes, the reader reads; the reader refuses every other encoding.

use concord_model::Timestamp;
use proptest::prelude::*;

use super::*;

#[track_caller]
fn refused(bytes: &[u8], why: DerError) {
    assert_eq!(Reader::new(bytes).any().map(|element| element.tag), Err(why), "{bytes:02x?}");
}

#[test]
fn n_57_ber_lengths_are_refused() {
    refused(&[0x30, 0x80, 0x00, 0x00], DerError::Length);
    refused(&[0x04, 0x81, 0x01, 0x00], DerError::Length);
    refused(&[0x04, 0x82, 0x00, 0x80], DerError::Length);
    refused(&[0x04, 0x85, 1, 1, 1, 1, 1], DerError::Length);
    refused(&[0x04, 0x84, 0xff, 0xff, 0xff, 0xff], DerError::Truncated);
    refused(&[0x1f, 0x81, 0x01], DerError::TagForm);
    refused(&[0x04], DerError::Truncated);
    refused(&[0x04, 0x02, 0x00], DerError::Truncated);
}

#[test]
fn n_57_trailing_bytes_are_refused() {
    assert_eq!(only(&[0x30, 0x00, 0x00], SEQUENCE).map(|_| ()), Err(DerError::Trailing));
    assert!(only(&[0x30, 0x00], SEQUENCE).is_ok());
}

#[test]
fn integers_have_one_encoding() {
    for (bytes, ok) in [
        (&[0x02, 0x01, 0x00][..], true),
        (&[0x02, 0x02, 0x00, 0x80], true),
        (&[0x02, 0x01, 0x80], false),
        (&[0x02, 0x02, 0x00, 0x7f], false),
        (&[0x02, 0x00], false),
    ] {
        assert_eq!(Reader::new(bytes).unsigned().is_ok(), ok, "{bytes:02x?}");
    }
}

#[test]
fn named_bits_leave_out_zeros_at_the_end() {
    assert_eq!(named_bits(0x8000), [3, 2, 7, 0x80]);
    assert_eq!(named_bits(0x8600), [3, 2, 1, 0x86]);
    assert_eq!(named_bits(0x0080), [3, 3, 7, 0x00, 0x80]);
    assert_eq!(named_bits(0), [3, 1, 0]);
}

#[track_caller]
fn time_text(secs: i64, text: &str) {
    let written = time::write(Timestamp::from_secs(secs));
    assert_eq!(std::str::from_utf8(&written[2..]).unwrap(), text);
    assert_eq!(time::read(&mut Reader::new(&written)), Ok(Timestamp::from_secs(secs)));
}

#[test]
fn times_are_written_as_rfc_5280_wants() {
    time_text(0, "700101000000Z");
    time_text(951_782_400, "000229000000Z");
    time_text(2_524_607_999, "491231235959Z");
    time_text(2_524_608_000, "20500101000000Z");
}

#[test]
fn times_that_do_not_exist_are_refused() {
    for text in
        ["260229000000Z", "261301000000Z", "260100000000Z", "260101240000Z", "2601010000Z", "260101000000+"]
    {
        let bytes = value(UTC_TIME, text.as_bytes());
        assert!(time::read(&mut Reader::new(&bytes)).is_err(), "{text}");
    }
    let early = value(GENERALIZED_TIME, b"20260101000000Z");
    assert!(time::read(&mut Reader::new(&early)).is_err());
    let never = value(GENERALIZED_TIME, b"99991231235959Z");
    assert_eq!(time::read(&mut Reader::new(&never)), Ok(Timestamp::FAR_FUTURE));
}

proptest! {
    #[test]
    fn what_is_written_reads_back(body in proptest::collection::vec(any::<u8>(), 0..70_000)) {
        let bytes = value(OCTET_STRING, &body);
        let mut reader = Reader::new(&bytes);
        prop_assert_eq!(reader.body(OCTET_STRING).unwrap(), &body[..]);
        prop_assert!(reader.end().is_ok());
    }

    #[test]
    fn integers_read_back(bytes in proptest::collection::vec(any::<u8>(), 1..40)) {
        let written = unsigned(&bytes);
        let skip = bytes.iter().take_while(|byte| **byte == 0).count().min(bytes.len() - 1);
        prop_assert_eq!(Reader::new(&written).unsigned().unwrap(), &bytes[skip..]);
    }

    #[test]
    fn times_read_back(secs in -600_000_000i64..9_000_000_000) {
        let at = Timestamp::from_secs(secs);
        prop_assert_eq!(time::read(&mut Reader::new(&time::write(at))), Ok(at));
    }
}
