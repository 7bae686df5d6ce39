use super::{OwnerIds, OwnerNames};
use crate::format::listing::Owner;

#[test]
fn root_has_a_name_and_nobody_knows_the_last_id() {
    let names = OwnerNames::new();
    let owner = names.owner(0, u32::MAX - 7);
    assert_eq!((&*owner.user, &*owner.group), (&b"root"[..], &b""[..]));
    assert!(std::sync::Arc::ptr_eq(&owner.user, &names.owner(0, 0).user));
}

#[test]
fn a_known_name_gives_its_id_and_an_unknown_one_the_number() {
    let owner = |user: &[u8]| Owner { uid: 4711, gid: 4712, user: user.into(), group: b""[..].into() };
    let ids = OwnerIds::new();
    assert_eq!(ids.ids(&owner(b"root")), (0, 4712));
    for user in [&b"no such user"[..], b"", b"nul\0byte", b"\xff"] {
        assert_eq!(ids.ids(&owner(user)), (4711, 4712));
    }
}
