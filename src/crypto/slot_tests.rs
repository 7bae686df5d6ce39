use super::*;

const QUICK: Stretch = Stretch::Argon2id { memory_kib: 16 << 10, passes: 1, lanes: 1 };
const SALT: [u8; 32] = [7; 32];

fn commitment(credential: &[u8], stretch: Stretch, salt: &[u8; 32]) -> [u8; 32] {
    SlotKey::new(credential, stretch, salt).unwrap().commitment()
}

#[test]
fn only_the_right_credential_gives_the_key() {
    for stretch in [QUICK, Stretch::None] {
        let slot = commitment(b"right", stretch, &SALT);
        assert!(SlotKey::new(b"right", stretch, &SALT).unwrap().unlock(&slot).is_ok());
        let wrong = SlotKey::new(b"wrong", stretch, &SALT).unwrap();
        assert_eq!(wrong.unlock(&slot).map(|_| ()), Err(Error::WrongKey));
    }
}

#[test]
fn salt_and_parameters_make_another_key() {
    let plain = commitment(b"right", QUICK, &SALT);
    assert_ne!(plain, commitment(b"right", QUICK, &[8; 32]));
    let other = Stretch::Argon2id { memory_kib: 16 << 10, passes: 2, lanes: 1 };
    assert_ne!(plain, commitment(b"right", other, &SALT));
    assert_ne!(plain, commitment(b"right", Stretch::None, &SALT));
}

#[test]
fn the_key_is_not_the_commitment() {
    let key = SlotKey::new(b"right", Stretch::None, &SALT).unwrap();
    assert_ne!(key.unlock(&key.commitment()).unwrap().expose(), &key.commitment());
}

#[test]
fn stretching_is_bounded_on_both_sides() {
    assert!(Stretch::PASSWORD.allowed() && Stretch::STRONG.allowed() && QUICK.allowed() && Stretch::None.allowed());
    let argon = |memory_kib, passes, lanes| Stretch::Argon2id { memory_kib, passes, lanes };
    assert!(argon(1 << 20, 64, 16).allowed());
    for wrong in [
        argon((16 << 10) - 1, 1, 1),
        argon((1 << 20) + 1, 1, 1),
        argon(u32::MAX, u32::MAX, u32::MAX),
        argon(1 << 16, 0, 1),
        argon(1 << 16, 65, 1),
        argon(1 << 16, 1, 0),
        argon(1 << 16, 1, 17),
    ] {
        assert!(!wrong.allowed(), "{wrong:?}");
        assert_eq!(SlotKey::new(b"x", wrong, &SALT).map(|_| ()), Err(Error::BadParameters));
    }
}
