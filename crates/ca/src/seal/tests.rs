//! An envelope opens with each of its keys, with no other key, and for no other purpose.

use super::*;

fn kek(byte: u8) -> Kek {
    Kek::from_bytes(&[byte; 32]).unwrap()
}

/// Fills each buffer with the next number, so that nonces and keys differ.
fn counting() -> impl FnMut(&mut [u8]) {
    let mut next = 0u8;
    move |buffer: &mut [u8]| {
        next = next.wrapping_add(1);
        buffer.fill(next);
    }
}

fn sealed(keks: &[Kek]) -> Sealed {
    seal("purpose", b"plain", keks, &mut counting()).unwrap()
}

#[test]
fn any_of_its_keys_opens_an_envelope() {
    let sealed = sealed(&[kek(1), kek(2)]);
    for own in [kek(1), kek(2)] {
        assert_eq!(open("purpose", &sealed, &[kek(9), own]).unwrap().expose(), b"plain");
    }
}

#[test]
fn n_118_without_the_key_an_envelope_stays_shut() {
    let sealed = sealed(&[kek(1)]);
    let wanted = vec![kek(1).id().to_owned()];
    assert_eq!(
        open("purpose", &sealed, &[kek(2)]).err(),
        Some(SealError::UnknownKek { wanted: wanted.clone() })
    );
    assert_eq!(open("purpose", &sealed, &[]).err(), Some(SealError::UnknownKek { wanted }));
    // Another key under the same fingerprint.
    let mut renamed = sealed.clone();
    renamed.wraps[0].kek_id = kek(2).id().to_owned();
    assert_eq!(open("purpose", &renamed, &[kek(2)]).err(), Some(SealError::Damaged));
    let bytes = serde_json::to_vec(&sealed).unwrap();
    assert!(!bytes.windows(5).any(|window| window == b"plain"));
}

#[test]
fn n_118_an_envelope_opens_for_its_purpose_only() {
    let mut sealed = sealed(&[kek(1)]);
    assert!(matches!(open("other", &sealed, &[kek(1)]), Err(SealError::Purpose { .. })));
    sealed.purpose = "other".to_owned();
    assert_eq!(open("other", &sealed, &[kek(1)]).err(), Some(SealError::Damaged));
}

#[test]
fn n_118_no_byte_of_an_envelope_can_be_changed() {
    let good = sealed(&[kek(1)]);
    let bends: [fn(&mut Sealed) -> &mut Vec<u8>; 4] = [
        |sealed| &mut sealed.nonce,
        |sealed| &mut sealed.ciphertext,
        |sealed| &mut sealed.wraps[0].nonce,
        |sealed| &mut sealed.wraps[0].ciphertext,
    ];
    for bend in bends {
        for at in 0..bend(&mut good.clone()).len() {
            let mut bent = good.clone();
            bend(&mut bent)[at] ^= 1;
            assert_eq!(open("purpose", &bent, &[kek(1)]).err(), Some(SealError::Damaged));
        }
        let mut bent = good.clone();
        bend(&mut bent).pop();
        assert_eq!(open("purpose", &bent, &[kek(1)]).err(), Some(SealError::Damaged));
    }
}

#[test]
fn envelopes_move_to_new_keys() {
    let moved = reseal("purpose", &sealed(&[kek(1)]), &[kek(1)], &[kek(2)], &mut counting()).unwrap();
    assert_eq!(open("purpose", &moved, &[kek(2)]).unwrap().expose(), b"plain");
    assert!(open("purpose", &moved, &[kek(1)]).is_err());
}

#[test]
fn keys_are_read_from_text_and_never_printed() {
    let (made, text) = Kek::generate(&mut counting()).unwrap();
    assert_eq!(Kek::parse(&format!(" {}\n", text.expose())).unwrap().id(), made.id());
    assert!(!format!("{made:?}").contains(text.expose()));
    assert_eq!(Kek::parse("AAAA").err(), Some(SealError::Kek));
    assert_eq!(Kek::parse("not base64").err(), Some(SealError::Kek));
    assert_eq!(seal("p", b"", &[], &mut counting()).err(), Some(SealError::KekCount(0)));
}
